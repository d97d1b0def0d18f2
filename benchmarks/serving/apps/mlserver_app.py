"""MLServer's custom runtime for what it has none of its own: the ECG."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from predictor import load


class Network(MLModel):
    """What MLServer calls."""

    async def load(self) -> bool:
        """Load the model."""
        self.run = load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score signals."""
        scores = self.run(NumpyCodec.decode_input(payload.inputs[0]))
        output = NumpyCodec.encode_output("predictions", scores)
        return InferenceResponse(model_name=self.name, outputs=[output])
