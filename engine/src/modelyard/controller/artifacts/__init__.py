"""Code, models and environments of real services, kept in the engine's folders and the workspace's registry.

`local` keeps code and models, `environments` makes folders that processes run in, `images` makes images; `bases`
finds what an image stands on, `building` has builders do what was not done yet; `engine_image` makes the engine's.
"""

from modelyard.controller.artifacts.engine_image import EngineImages
from modelyard.controller.artifacts.local import LocalArtifacts

__all__ = ["EngineImages", "LocalArtifacts"]
