"""kplib bench train: every peer takes the same step, and the table says what was measured."""

import json

import pytest
import torch

from kplib.bench import training
from kplib.bench.timing import Timing


def test_the_cases_are_the_papers_networks_and_batches():
    assert {case.benchmark: case.batch for case in training.CASES} == {
        "kws-lstm": 100, "mnist-lstm": 128, "har1-bilstm": 64, "kws-gru": 100, "usps-fastrnn": 100
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"no training case \['mnist'\]; there are kws-lstm"):
        training.chosen_cases(["mnist"])
    assert training.chosen_cases(None) == list(training.CASES)


@pytest.mark.parametrize("case", training.CASES, ids=lambda case: case.benchmark)
def test_every_peer_is_trained_from_the_same_start(case):
    models = training._models(case)
    assert next(iter(models)) == case.baseline
    kp = [model for name, model in models.items() if name != case.baseline]
    x = torch.randn(3, 5, kp[0].rnn.input_size)
    expected = kp[0](x)
    for model in kp[1:]:
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    step = training._step(kp[0], x, torch.tensor([0, 1, 2]))
    before = [p.detach().clone() for p in kp[0].parameters()]
    step()
    assert all(not torch.equal(p, q) for p, q in zip(kp[0].parameters(), before, strict=True))


def test_command_prints_a_table_and_leaves_a_record(tmp_path, capsys, monkeypatch):
    def timings(works, *, rounds, min_seconds):
        for work in works.values():
            work(1)  # every peer can take a step
        seconds = dict(zip(works, [4e-3, 3e-3, 2e-3, 5e-3], strict=True))
        return {name: Timing((seconds[name],) * rounds, 1) for name in works}

    monkeypatch.setattr(training, "interleave", timings)
    threads = torch.get_num_threads()
    path = tmp_path / "record.json"
    cases = training.chosen_cases(["usps-fastrnn", "har1-bilstm"])
    training.run(cases, 3, 1, "cpu", path, ["bench", "train"])
    assert torch.get_num_threads() == threads
    text = capsys.readouterr().out
    assert "kplib KP, auto         3.00 ms" in text
    assert "target: 1.00x of kplib dense; 0.75x: met" in text
    assert "target: 0.65x of torch.nn; 0.75x: not met" in text
    record = json.loads(path.read_text())
    assert record["command"] == "kplib bench train"
    assert [table["ratio"] for table in record["tables"]] == pytest.approx([0.75, 0.75])
    assert record["tables"][0]["milliseconds"]["kplib KP, fused"]["median"] == pytest.approx(2)
