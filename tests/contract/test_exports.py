"""Public is what a package exports; the list and the names are held equal."""

from __future__ import annotations

import inspect
import types
from importlib import import_module

import modelyard
import pytest
from modelyard import api

PUBLIC = ["modelyard.api", "modelyard.host", "modelyard.testing"]


@pytest.mark.parametrize("package", PUBLIC)
def test_a_package_exports_exactly_its_list(package: str):
    module = import_module(package)
    names = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert names == set(module.__all__)


@pytest.mark.parametrize("package", PUBLIC)
def test_a_packages_list_has_no_name_twice(package: str):
    names = import_module(package).__all__
    assert len(set(names)) == len(names)


def test_every_lazy_name_of_the_package_can_be_had():
    for name in modelyard.__all__:
        assert getattr(modelyard, name) is not None


@pytest.mark.parametrize("name", sorted(api.__all__))
def test_every_class_of_the_api_has_a_docstring(name: str):
    value = getattr(api, name)
    if inspect.isclass(value):
        assert inspect.getdoc(value)


def test_errors_of_the_api_have_codes_of_their_own():
    errors = [
        one
        for one in map(api.__dict__.get, api.__all__)
        if isinstance(one, type) and issubclass(one, api.ModelyardError)
    ]
    codes = [error.code for error in errors]
    assert len(set(codes)) == len(codes)
    assert all(code.isidentifier() and code.islower() for code in codes)


def test_every_error_can_be_mended_by_its_caller_or_is_the_machines():
    for name in api.__all__:
        value = getattr(api, name)
        if (
            isinstance(value, type)
            and issubclass(value, api.ModelyardError)
            and value is not api.ModelyardError
        ):
            assert issubclass(value, api.UserError) != issubclass(value, api.SystemError_)
