"""Send results/dataset to a dataset repository of the Hugging Face hub, in one commit.

Make the folder first: snakemake --cores all results/dataset/README.md. The token comes from the environment's HF_TOKEN.
With --dry-run nothing is sent, and no network is needed.
"""

import argparse
import os
from pathlib import Path

from joulebench.errors import UserError

FOLDER = Path("results", "dataset")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", nargs="?", default="", metavar="OWNER/NAME", help="the dataset repository")
    parser.add_argument("--dry-run", action="store_true", help="only say which files would go")


def run(words: argparse.Namespace) -> int:
    from joulebench.config import handed_over
    from joulebench.exports.dataset import check_repo, publish, uploads
    from joulebench.logs import quiet_libraries

    if words.repo or not words.dry_run:
        check_repo(words.repo)
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token and not words.dry_run:
        raise UserError("no HF_TOKEN in the environment; set it to a token that may write, or look first: --dry-run")
    files = uploads(FOLDER, handed_over().publish_flagged)
    print(f"{'would go' if words.dry_run else 'going'} to the dataset {words.repo or 'OWNER/NAME'}, in one commit:")
    for one in files:
        print(f"  {one.name}  {one.size:,} bytes" + ("" if one.rows is None else f", {one.rows:,} rows"))
    if words.dry_run:
        print("tables and documents there that are not among them would be deleted; nothing was sent")
        return 0
    quiet_libraries()
    from huggingface_hub import HfApi

    print(publish(FOLDER, words.repo, files, HfApi(token=token, library_name="joulebench")))
    return 0
