"""What comes from outside (files, values), held against limits before it is believed."""
