"""The JSON schema of config.yaml, for editors: python -m joulebench.config.schema > config/schema.json"""

import json

from joulebench.config.whole import Config


def json_schema() -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")
