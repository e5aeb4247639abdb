"""States of runs from strangers: nothing in them is run, and what is wrong with them is said."""

import math

import pytest
import torch

from babe2_fx.training.config import TrainingError
from babe2_fx.training.state import load_state, save_state, take_up


def trained():
    """A small network and its optimiser after a step."""
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.ones(3)).sum().backward()
    optimiser.step()
    return network, optimiser


def state_of(network, optimiser, **more):
    return {"network": network.state_dict(), "optimisers": {"adam": optimiser.state_dict()}, "step": 1} | more


def test_a_state_comes_back_with_its_own_types_and_the_run_goes_on_alike(tmp_path):
    network, optimiser = trained()
    save_state(tmp_path, state_of(network, optimiser, seconds=1.5, config={"sizes": (1, 2)}, base=None,
                                  counts=torch.arange(3)))
    state = load_state(tmp_path, "network", "seconds")
    assert (state["seconds"], state["config"], state["base"]) == (1.5, {"sizes": (1, 2)}, None)
    assert state["counts"].dtype == torch.int64
    other, again = trained()
    with torch.no_grad():
        other.weight.zero_()
    take_up(state, {"network": other}, {"adam": (again, 1e-3)})
    for model, optim in ((network, optimiser), (other, again)):
        model.zero_grad()
        model(torch.ones(3)).square().sum().backward()
        optim.step()
    assert torch.equal(network.weight, other.weight)


def nested():
    value = []
    for _ in range(100):
        value = [value]
    return value


def endless():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize("state, reason", [
    ([1, 2], "is not the state of a run"), ({"step": -1}, "is not the state of a run"),
    ({"step": "1"}, "is not the state of a run"),
    ({"step": 1}, "is the state of another kind of run: it has no seconds"),
    ({"step": 1, "seconds": math.nan}, "does not say how long it has run"),
    ({"step": 1, "seconds": 1.0, "config": [1]}, "does not say how it was begun"),
    ({"step": 1, "seconds": 1.0, "more": nested()}, "has values nested without end"),
    ({"step": 1, "seconds": 1.0, "more": endless()}, "has values nested without end"),
    ({"step": 1, "seconds": 1.0, "more": {1, 2}}, "asks for|neither a number, a text nor a tensor"),
    ({"step": 1, "seconds": 1.0, "curves": {"ltas": torch.ones(1025)}}, "lacks what it measured"),
    ({"step": 1, "seconds": 1.0, "curves": {"ltas": torch.ones(5), "ltas_spread_db": torch.ones(1025),
                                            "sigma_data": 0.1, "level": 0.1}}, "its ltas has the shape"),
    ({"step": 1, "seconds": 1.0, "curves": {"ltas": torch.ones(1025), "ltas_spread_db": torch.ones(1025),
                                            "sigma_data": math.nan, "level": 0.1}}, "its sigma_data is nan"),
])
def test_a_state_that_is_none_is_said(tmp_path, state, reason):
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(TrainingError, match=rf"state\.pt .*({reason}).* --restart"):
        load_state(tmp_path, "seconds")


def test_a_state_of_another_network_is_said():
    network, optimiser = trained()
    good = state_of(network, optimiser)
    memory = good["optimisers"]["adam"]["state"]
    for change, reason in (
            ({"network": {"weight": torch.ones(2, 3)}}, "bias"), ({"network": None}, "items"),
            ({"network": {"weight": torch.full((2, 3), math.nan), "bias": torch.ones(2)}}, "finite numbers, in weight"),
            ({"network": {"weight": torch.ones(2, 4), "bias": torch.ones(2)}}, "size mismatch|shape"),
            ({"optimisers": {}}, "adam"), ({"optimisers": {"adam": {"state": {7: memory[0]}}}}, "range"),
            ({"optimisers": {"adam": {"state": {0: {"step": torch.ones(())}}}}}, "adam remembers other things"),
            ({"optimisers": {"adam": {"state": {0: memory[0] | {"exp_avg": torch.ones(5)}}}}}, "exp_avg has the")):
        with pytest.raises(TrainingError, match=rf"its state is not that of such a run \(.*({reason}).*--restart"):
            take_up(good | change, {"network": network}, {"adam": (optimiser, 1e-3)})
