"""The client against real services."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, Digits

import sphinx_client
from sphinx_client import Client, History, InputError, LocalCluster, Step


def test_trains_recognises_and_keeps_the_books(
    client: Client, digits: tuple[Digits, Digits]
) -> None:
    (images, labels), (tests, truth) = digits
    told: list[Step] = []
    history = client.train(
        "tiny", images, labels, network=TINY, epsilon=8, epochs=2, data_name="mnist",
        progress=told.append,
    )
    assert [step.step for step in told] == list(range(1, told[-1].steps + 1))
    assert history.estimate is not None and history.estimate.steps == told[-1].steps
    assert history.images_per_second > 0 and history.steps[-1].bytes_up > 0

    ledger = client.ledger("tiny")
    assert ledger.steps == len(told) and ledger.examples == 60_000
    assert ledger.epsilon is not None and 0 < ledger.epsilon <= 8
    assert ledger.epsilon == history.epsilon and ledger.left is not None
    (data_set,) = client.data_sets()
    assert data_set.name == "mnist" and data_set.models == ["tiny"]
    (model,) = [model for model in client.models() if model.id == "tiny"]
    assert model.version == history.version and model.shape == (1, 28, 28)
    assert model.key in client.keys()

    with client.recogniser("tiny") as recogniser:
        shares = recogniser.predict_proba(tests[:2000])
        assert shares.shape == (2000, 10) and shares.dtype == np.float32
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
        assert (shares.argmax(axis=1) == truth[:2000]).mean() > 0.7
        assert recogniser.version == history.version
        assert min(recogniser.traffic) > 0

    # The same picture by other roads.
    with client.recogniser("tiny") as recogniser:
        for same in [tests[:1] / 255.0, np.asfortranarray(tests[:1]), tests[:1].reshape(1, 784)]:
            np.testing.assert_array_equal(recogniser.predict_proba(same), shares[:1])
        with pytest.raises(InputError, match="expected"):
            recogniser.predict_proba(np.zeros((1, 27, 28)))
    client.delete("tiny")
    assert "tiny" not in [model.id for model in client.models()]


def test_shows_itself_in_a_notebook(client: Client, digits: tuple[Digits, Digits]) -> None:
    (images, labels), _ = digits
    history = client.train("shown", images[:3000], labels[:3000], network=TINY, epochs=2)
    html = history._repr_html_()
    assert html.count("<svg") == 3 and "polyline" in html and "loss:" in html
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "<meter" in client.ledger("shown")._repr_html_()
    assert "<svg" in History()._repr_html_() and repr(History()) == "<History: not begun>"
    client.delete("shown")


def test_a_budget_that_is_spent_ends_the_training(
    client: Client, digits: tuple[Digits, Digits]
) -> None:
    (images, labels), _ = digits
    client.train("spent", images[:3000], labels[:3000], network=TINY, epsilon=2, epochs=2)
    again = client.train("spent", images[:3000], labels[:3000], epsilon=2, epochs=2)
    assert again.budget_exhausted
    assert (client.ledger("spent").epsilon or 9) <= 2
    client.delete("spent")


def test_a_cap_on_the_data_is_kept_with_the_commands_advice(
    client: Client, digits: tuple[Digits, Digits]
) -> None:
    (images, labels), _ = digits
    few, few_labels = images[:3000], labels[:3000]
    client.train("first", few, few_labels, network=TINY, epsilon=2, epochs=2, data_name="few")
    client.cap("few", 2.5)
    with pytest.raises(sphinx_client.PrivacyError, match="raise the cap with `sphinx privacy cap`"):
        client.train("second", few, few_labels, network=TINY, epsilon=2, epochs=2)


def test_errors_say_what_to_do(cluster: LocalCluster, client: Client, tmp_path: Path) -> None:
    image, label = np.zeros((2, 28, 28)), [0, 1]
    with pytest.raises(InputError, match="neither a built-in network"):
        client.train("none", image, label, network="no-such-network")
    with pytest.raises(sphinx_client.SphinxError, match="no-such-recipe"):
        client.train("none", image, label, recipe="no-such-recipe")
    with pytest.raises(InputError, match="0 shards"):
        client.train("none", image, label, shards=0)
    with pytest.raises(sphinx_client.SphinxError, match="9 shards for steps of"):
        client.train("none", np.zeros((200, 28, 28)), [0, 1] * 100, shards=9)
    with pytest.raises(InputError, match="NaN"):
        client.train("none", np.full((2, 28, 28), np.nan), label)
    with pytest.raises(sphinx_client.ServiceError, match="no-such-model"):
        client.recogniser("no-such-model")
    with pytest.raises(sphinx_client.SphinxError):
        client.train("not a name", image, label)
    with pytest.raises(sphinx_client.SphinxError, match="http"):
        Client(tmp_path, trainer="localhost:1")
    # Two keys: which one is meant?
    client.ensure_key()
    other = Path(client.home) / "keys"
    first = next(other.glob("*.key"))
    (other / "second.key").write_bytes(first.read_bytes())
    with pytest.raises(sphinx_client.SphinxError, match="name it with --key"):
        client.ensure_key()


def test_the_interpreter_runs_on_while_a_training_works(
    client: Client, digits: tuple[Digits, Digits]
) -> None:
    (images, labels), _ = digits
    beats, stop = [0], threading.Event()

    def beat() -> None:
        while not stop.is_set():
            beats[0] += 1
            time.sleep(0.002)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    begun = time.monotonic()
    client.train("free", images[:6000], labels[:6000], network=TINY, epochs=4)
    seconds = time.monotonic() - begun
    stop.set()
    thread.join()
    # A beat takes 2 ms and whatever the machine is busy with.
    assert beats[0] > 50 * seconds, (beats[0], seconds)
    client.delete("free")


def test_a_callback_that_fails_ends_the_training_and_costs_nothing_else(
    client: Client, digits: tuple[Digits, Digits]
) -> None:
    (images, labels), _ = digits

    def fail(step: Step) -> None:
        if step.step == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        client.train("fails", images, labels, network=TINY, epochs=4, progress=fail)
    assert not client.ledger("fails").unconfirmed
    client.train("fails", images, labels, epochs=4)
    client.delete("fails")


#: Ctrl-C in a cell: the signal reaches a main thread that waits for a training.
INTERRUPTED = """
import sys, numpy, sphinx_client
client = sphinx_client.Client()
(images, labels), _ = sphinx_client.load_mnist()
def told(step):
    print("step", step.step, flush=True)
try:
    client.train("broken-off", images, labels, network=sys.argv[1], epochs=400, epsilon=8,
                 progress=told)
except KeyboardInterrupt:
    print("interrupted at", client.ledger("broken-off").steps, flush=True)
"""


def test_ctrl_c_ends_after_the_step_at_hand(
    environment: None, cluster: LocalCluster
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, TINY], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "step 1\n"
    process.send_signal(2)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    last = rest.splitlines()[-1]
    assert last.startswith("interrupted at ")
    ledger = Client().ledger("broken-off")
    assert ledger.steps == int(last.split()[-1]) and not ledger.unconfirmed
    Client().delete("broken-off")


def test_the_command_knows_models_made_here(
    environment: None, digits: tuple[Digits, Digits]
) -> None:
    (images, labels), _ = digits
    client = Client()
    client.train("shared", images[:3000], labels[:3000], network=TINY, epochs=2)
    program = os.environ["SPHINX_PROGRAM"]
    shown = subprocess.run(
        [program, "privacy", "show", "shared", "--json"], capture_output=True, text=True, check=True
    )
    assert f'"steps": {client.ledger("shared").steps}' in shown.stdout
    client.delete("shared")


def test_a_pickled_client_has_no_token(cluster: LocalCluster, tmp_path: Path) -> None:
    client = cluster.client(home=tmp_path)
    again = pickle.loads(pickle.dumps(client))
    assert again.models() == client.models()
    assert "token" not in client._settings


def test_a_cluster_without_the_command_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(sphinx_client.SphinxError, match="no-such-program"):
        sphinx_client.local_cluster(tmp_path / "no-such-program")


def test_the_accountant_and_the_plan_agree() -> None:
    plan = sphinx_client.plan(60_000, epsilon=2.0, epochs=10)
    accountant = sphinx_client.Accountant()
    accountant.compose(plan.sampling_rate, plan.noise_multiplier, plan.steps)
    spent = accountant.epsilon(1e-5)
    assert plan.epsilon <= 2.0 and abs(float(spent) - plan.epsilon) < 0.02
    assert spent.proven <= spent.rdp <= spent.classical
    with pytest.raises(sphinx_client.PrivacyError):
        accountant.compose(1.5, 1.0, 1)
    with pytest.raises(sphinx_client.PrivacyError):
        accountant.epsilon(0.0)
