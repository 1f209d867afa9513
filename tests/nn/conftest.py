import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread_and_own_generator():
    """Each test draws from its own seeded generator and leaves torch's as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(20)
        yield
    torch.set_num_threads(threads)
