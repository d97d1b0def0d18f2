"""FastAPI as its tutorial and most examples of serving have it: a model of the body, a plain `def`."""

from __future__ import annotations

from fastapi import FastAPI
from predictor import load, rows_of
from pydantic import BaseModel

app = FastAPI()
predict = load()


class Rows(BaseModel):
    """Trees."""

    inputs: list[list[float]]


class Signals(BaseModel):
    """ECG."""

    signals: list[list[list[float]]]


@app.post("/rows")
def rows(body: Rows) -> dict[str, list]:
    """Score rows."""
    return {"predictions": predict(rows_of(body.inputs)).tolist()}


@app.post("/signals")
def signals(body: Signals) -> dict[str, list]:
    """Score signals."""
    return {"predictions": predict(rows_of(body.signals)).tolist()}
