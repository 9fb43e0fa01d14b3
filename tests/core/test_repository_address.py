"""Addresses of repositories: one repository under each of its spellings, two never for one."""

import pytest

from tasks.core.repository_address import is_same_repository

SHOP = "https://forge.test/acme/shop.git"


@pytest.mark.parametrize(
    "other",
    [
        "https://forge.test/acme/shop",
        "https://forge.test/acme/shop/",
        "https://ada:***@forge.test/acme/shop.git",
        "https://FORGE.test:443/Acme/Shop.git",
        "ssh://git@forge.test/acme/shop.git",
        "ssh://git@forge.test:22/acme/shop",
        "git@forge.test:acme/shop.git",
        "forge.test:acme/shop",
    ],
)
def test_one(other: str) -> None:
    """Scheme, login, case, the usual port and `.git` tell no repository from another."""
    assert is_same_repository(SHOP, other)
    assert is_same_repository(other, SHOP)


@pytest.mark.parametrize(
    "other",
    [
        "",
        "https://forge.test/mallory/shop.git",
        "https://forge.test/acme/shop/shop.git",
        "https://elsewhere.test/acme/shop.git",
        "https://forge.test:8443/acme/shop.git",
        "https://forge.test:nonsense/acme/shop.git",
        "git@elsewhere.test:acme/shop.git",
        "/srv/acme/shop",
        "shop",
        "acme/shop",
    ],
)
def test_two(other: str) -> None:
    """Another owner, host, port or folder is another repository, whatever its last name is; none is none's."""
    assert not is_same_repository(SHOP, other)
    assert not is_same_repository(other, SHOP)


def test_folders() -> None:
    """Folders are told apart to the letter, and a file address is the folder it names."""
    assert is_same_repository("/srv/shop", "/srv/shop/")
    assert is_same_repository("/srv/shop.git", "file:///srv/shop.git")
    assert not is_same_repository("/srv/shop", "/srv/Shop")
    assert not is_same_repository("/srv/shop", "srv/shop")
