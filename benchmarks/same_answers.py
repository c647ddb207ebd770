"""Whether vLLM answers a trained model's prompts as transformers does: python benchmarks/same_answers.py MODEL [TOKENS]

MODEL is a model's folder (results/models/...), with a chat template. Five prompts, greedy answers of TOKENS tokens by
both, in bfloat16 on the same GPU. Prints each prompt, how many of the first tokens are the same, and vLLM's answer.
Two correct programs add in different orders, so that a near tie between two tokens may fall either way late in an
answer; the first tokens are the same.
"""

import sys
from itertools import takewhile
from pathlib import Path

PROMPTS = (
    "What is the capital of France?",
    "Write a Python function that adds two numbers.",
    "Name the planets of the solar system.",
    "What is 12 times 12?",
    "Who wrote Romeo and Juliet?",
)


def main(folder: Path, tokens: int = 32) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    chats = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    asked = [tokenizer.apply_chat_template(one, add_generation_prompt=True, return_dict=False) for one in chats]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to("cuda").eval()
    theirs = []
    for ids in asked:
        given = torch.tensor([ids], device="cuda")
        with torch.inference_mode():
            made = model.generate(given, attention_mask=torch.ones_like(given), max_new_tokens=tokens, do_sample=False)
        theirs.append(made[0, len(ids) :].tolist())
    del model
    torch.cuda.empty_cache()

    from vllm import LLM, SamplingParams

    engine = LLM(str(folder), dtype="bfloat16", max_model_len=2048, gpu_memory_utilization=0.5, enforce_eager=True)
    wanted = SamplingParams(temperature=0.0, max_tokens=tokens)
    answers = engine.generate([{"prompt_token_ids": ids} for ids in asked], wanted, use_tqdm=False)
    for prompt, ids, answer in zip(PROMPTS, theirs, answers, strict=True):
        ours = list(answer.outputs[0].token_ids)
        same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(ids, ours, strict=False))))
        print(f"{prompt} | first {same} of {len(ours)} tokens the same | {answer.outputs[0].text!r:.120}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
