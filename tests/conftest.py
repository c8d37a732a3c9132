"""The order of tests: the longest ones first, so that no worker is left alone with them."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)
