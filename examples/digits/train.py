"""Train the digits model: two thirds of the pictures are learnt, a third is held out for the check.

Writes model/digits.joblib, held_out.json (rows, labels, what the model says offline) and sample.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

HERE = Path(__file__).resolve().parent


def main() -> None:
    pictures, labels = load_digits(return_X_y=True)
    learn, held_out, learn_labels, held_out_labels = train_test_split(
        pictures, labels, test_size=1 / 3, random_state=20, stratify=labels
    )
    model = SVC(gamma=0.001).fit(learn, learn_labels)
    said = model.predict(held_out)
    (HERE / "model").mkdir(exist_ok=True)
    joblib.dump(model, HERE / "model" / "digits.joblib")
    write(
        "held_out.json",
        {"data": held_out.tolist(), "labels": held_out_labels.tolist(), "offline": said.tolist()},
    )
    write("sample.json", {"data": held_out[:1].tolist()})
    accuracy = float((said == held_out_labels).mean())
    print(f"learnt {len(learn)} pictures, held out {len(held_out)}: offline accuracy {accuracy:.4f}")


def write(name: str, content: dict[str, object]) -> None:
    (HERE / name).write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main()
