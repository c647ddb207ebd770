"""results/dataset/ -> a dataset repository of the Hugging Face hub: publish.py [--dry-run] REPO"""

import argparse
import os
import sys
from pathlib import Path

from joulebench.config import handed_over
from joulebench.errors import UserError
from joulebench.exports.dataset import check_repo, publish, uploads
from joulebench.logs import quiet_libraries

FOLDER = Path("results", "dataset")


def main(repo: str, dry_run: bool) -> None:
    check_repo(repo)
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token and not dry_run:
        raise UserError("no HF_TOKEN in the environment; set it to a token that may write, or use DRY_RUN=1")
    files = uploads(FOLDER, handed_over().publish_flagged)
    print(f"{'would go' if dry_run else 'going'} to the dataset {repo}, in one commit:")
    for one in files:
        print(f"  {one.name}  {one.size:,} bytes" + ("" if one.rows is None else f", {one.rows:,} rows"))
    if dry_run:
        print("tables and documents there that are not among them would be deleted; nothing was sent")
        return
    quiet_libraries()
    from huggingface_hub import HfApi

    print(publish(FOLDER, repo, files, HfApi(token=token, library_name="joulebench")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repo", nargs="?", default="")
    parser.add_argument("--dry-run", action="store_true")
    words = parser.parse_args()
    try:
        main(words.repo, words.dry_run)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
