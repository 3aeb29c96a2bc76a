"""Score 8 x 8 pictures of digits: the body is {"data": [[64 numbers], ...]}, the answer a list of digits."""

import json
import os
from pathlib import Path

import joblib

model = None


def init():
    """Load the model once, before the first request."""
    global model
    model = joblib.load(Path(os.environ["AZUREML_MODEL_DIR"]) / "digits.joblib")


def run(data):
    """Answer one request."""
    rows = json.loads(data)["data"]
    return model.predict(rows).tolist()
