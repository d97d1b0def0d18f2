"""LitServe: an API with two workers and two API servers."""

from __future__ import annotations

import sys

import litserve
from predictor import load, rows_of


class Api(litserve.LitAPI):
    """What LitServe calls."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - its interface
        """Load the model."""
        self.model = load()

    def decode_request(self, request: dict) -> object:
        """Take the rows of a body."""
        return rows_of(next(iter(request.values())))

    def predict(self, x: object) -> object:
        """Score them."""
        return self.model(x)

    def encode_response(self, output: object) -> dict:
        """Write the answer."""
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(api_path="/invocations"), accelerator="cpu", workers_per_device=2
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=2, log_level="error",
        generate_client_file=False, access_log=False,
    )  # fmt: skip
