from .classifier import TextClassifier
from .explanation import Explanation
from .recipe import Recipe, recipe_for
from .saving import load_model
from .settings import FitSettings, ModelSettings, Settings

__all__ = [
    "Explanation",
    "FitSettings",
    "ModelSettings",
    "Recipe",
    "Settings",
    "TextClassifier",
    "load_model",
    "recipe_for",
]
