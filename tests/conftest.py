"""One thread for every test: the steps are small, and the tests themselves run side by side."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    import torch

    torch.set_num_threads(1)
