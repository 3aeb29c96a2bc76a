from __future__ import annotations

from modelyard.api import LockedEnvironment, PackageChange
from modelyard.control import changes_of


def locked(*packages: str, name: str = "env") -> LockedEnvironment:
    return LockedEnvironment(name, "3.11.9", packages)


def test_packages_are_added_removed_and_changed():
    old, new = locked("a==1", "b==1", "c==1"), locked("a==1", "b==2", "d==1")
    assert changes_of([old], [new]) == (
        PackageChange("env", "b", "1", "2"),
        PackageChange("env", "c", "1", ""),
        PackageChange("env", "d", "", "1"),
    )


def test_without_an_old_lock_everything_is_added():
    assert changes_of([], [locked("a==1")]) == (PackageChange("env", "a", "", "1"),)


def test_a_package_pinned_for_two_kinds_of_machines_is_one_package():
    old = locked("a==1 ; python_version < '3.12'", "a==2 ; python_version >= '3.12'")
    (change,) = changes_of([old], [locked("a==2")])
    assert (change.name, change.new) == ("a", "2")


def test_a_package_from_an_address_has_it_as_its_version():
    (change,) = changes_of([locked("a @ https://x/a-1.whl")], [locked("a==1")])
    assert (change.old, change.new) == ("https://x/a-1.whl", "1")


def test_environments_are_compared_each_with_its_own():
    old = [locked("a==1"), locked("a==1", name="script")]
    new = [locked("a==1"), locked("a==2", name="script")]
    assert changes_of(old, new) == (PackageChange("script", "a", "1", "2"),)
