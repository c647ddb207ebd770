#!/usr/bin/env bash
# Ends what start.sh brought up under FOLDER, jobs and daemons: stop.sh FOLDER. Nothing to do where that is not up.
set -euo pipefail
folder=$(realpath -m "${1:?stop.sh FOLDER}") conf=/etc/slurm/slurm.conf
grep -qx "# Folder: $folder" $conf 2>/dev/null || exit 0

alive() { # the process of an id in a file, where it is still one of these daemons
  case "$(cat "/proc/$(cat "$1" 2>/dev/null || echo none)/comm" 2>/dev/null)" in slurmctld | slurmd | munged | slurmdbd | mariadbd) ;; *) return 1 ;; esac
}

if alive "$folder/slurmctld.pid"; then
  scancel --full --user=root || true
  for _ in {1..150}; do [ -z "$(squeue -h 2>/dev/null)" ] && break; sleep 0.1; done
fi
files=("$folder"/n*.pid "$folder/slurmctld.pid")
[ ! -e "$folder/munged-is-ours" ] || files+=(/run/munge/munged.pid)
files+=("$folder/slurmdbd.pid" "$folder/mariadbd.pid") # what the others write to goes last
for file in "${files[@]}"; do
  pid=$(cat "$file" 2>/dev/null || true)
  ! alive "$file" || kill "$pid"
  for _ in {1..100}; do alive "$file" || break; sleep 0.1; done
  ! alive "$file" || kill -9 "$pid"
done
rm -f $conf /etc/slurm/gres.conf /etc/slurm/slurmdbd.conf "$folder/munged-is-ours"
