"""The examples of PyTorch's own documentation and tutorials run with the class swapped.

Each is a function of the three classes; it runs with torch.nn's, with ours of the same names, and
returns what it computes. Where ours are copies of torch's, by ``from_torch``, numbers are the same.
"""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import kplib.nn
from kplib.nn import Dense, Kronecker, LowRank


def copies(name):
    """Return torch's class with another name for its constructor: the copy of what it makes."""
    theirs, ours = getattr(nn, name), getattr(kplib.nn, name)
    return lambda *arguments, **options: ours.from_torch(theirs(*arguments, **options))


NAMES = ("RNN", "LSTM", "GRU")
TORCH = SimpleNamespace(**{name: getattr(nn, name) for name in NAMES})
COPIES = SimpleNamespace(**{name: copies(name) for name in NAMES})


def ours(weight):
    return SimpleNamespace(**{n: partial(getattr(kplib.nn, n), weight=weight) for n in NAMES})


# torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU


def rnn_of_the_reference(layers):
    rnn = layers.RNN(10, 20, 2)
    input = torch.randn(5, 3, 10)
    h0 = torch.randn(2, 3, 20)
    output, hn = rnn(input, h0)
    return output, hn


def lstm_of_the_reference(layers):
    rnn = layers.LSTM(10, 20, 2)
    input = torch.randn(5, 3, 10)
    h0 = torch.randn(2, 3, 20)
    c0 = torch.randn(2, 3, 20)
    output, (hn, cn) = rnn(input, (h0, c0))
    return output, hn, cn


def gru_of_the_reference(layers):
    rnn = layers.GRU(10, 20, 2)
    input = torch.randn(5, 3, 10)
    h0 = torch.randn(2, 3, 20)
    output, hn = rnn(input, h0)
    return output, hn


# "Sequence Models and Long Short-Term Memory Networks", its first steps


def steps_one_by_one(layers):
    lstm = layers.LSTM(3, 3)
    inputs = [torch.randn(1, 3) for _ in range(5)]
    hidden = (torch.randn(1, 1, 3), torch.randn(1, 1, 3))
    for i in inputs:
        out, hidden = lstm(i.view(1, 1, -1), hidden)
    last = out
    inputs = torch.cat(inputs).view(len(inputs), 1, -1)
    hidden = (torch.randn(1, 1, 3), torch.randn(1, 1, 3))
    out, hidden = lstm(inputs, hidden)
    return last, out, *hidden


# torch.nn.utils.rnn.pad_packed_sequence, with a layer between packing and padding


def packed_and_padded(layers):
    embedding, rnn = nn.Embedding(7, 4), layers.GRU(4, 6, batch_first=True, bidirectional=True)
    seq = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    lens = [2, 1, 3]
    packed = pack_padded_sequence(embedding(seq), lens, batch_first=True, enforce_sorted=False)
    output, h = rnn(packed)
    seq_unpacked, lens_unpacked = pad_packed_sequence(output, batch_first=True)
    assert lens_unpacked.tolist() == lens
    assert not seq_unpacked[1, 1:].any()
    return seq_unpacked, h


# "Translation with a Sequence to Sequence Network": an encoder, and a decoder step by step


def translation(layers):
    encoder = layers.GRU(8, 8, batch_first=True)
    decoder = layers.GRU(8, 8, batch_first=True)
    source, target = nn.Embedding(11, 8), nn.Embedding(13, 8)
    out = nn.Linear(8, 13)
    _, hidden = encoder(source(torch.randint(11, (4, 6))))
    decoder_input, outputs = torch.zeros(4, 1, dtype=torch.long), []
    for _ in range(5):
        output, hidden = decoder(target(decoder_input).relu(), hidden)
        outputs.append(out(output))
        decoder_input = outputs[-1].topk(1)[1].squeeze(-1).detach()
    return torch.cat(outputs, 1), hidden


# the word language model of pytorch/examples: the class by its name, the state carried on


def language_model(layers):
    results = []
    for rnn_type in ("LSTM", "GRU"):
        rnn = getattr(layers, rnn_type)(6, 8, 2, dropout=0.2).eval()
        rnn.flatten_parameters()
        weight = next(rnn.parameters())
        hidden = weight.new_zeros(2, 3, 8)
        hidden = (hidden, weight.new_zeros(2, 3, 8)) if rnn_type == "LSTM" else hidden
        for _ in range(2):
            both = isinstance(hidden, tuple)
            hidden = tuple(h.detach() for h in hidden) if both else hidden.detach()
            output, hidden = rnn(torch.randn(4, 3, 6), hidden)
        results.append(output)
    rnn = layers.RNN(6, 8, 2, nonlinearity="relu", dropout=0.2).eval()
    return *results, rnn(torch.randn(4, 3, 6))[0]


EXAMPLES = [
    rnn_of_the_reference,
    lstm_of_the_reference,
    gru_of_the_reference,
    steps_one_by_one,
    packed_and_padded,
    translation,
    language_model,
]


def seeded(example, layers):
    torch.manual_seed(1)
    return example(layers)


@pytest.mark.parametrize("example", EXAMPLES)
def test_same_numbers(example):
    # from_torch draws nothing, so that everything else is drawn alike
    expected = seeded(example, TORCH)
    torch.testing.assert_close(seeded(example, COPIES), expected)


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("weight", [Dense(), Kronecker(), LowRank(2)])
def test_same_shapes(example, weight):
    if example is steps_one_by_one and weight == Kronecker():
        weight = Kronecker((3, 1, 1, 6))  # 3 is a prime, which Algorithm 4 does not factor
    expected, found = seeded(example, TORCH), seeded(example, ours(weight))
    assert [t.shape for t in found] == [t.shape for t in expected]
    assert not torch.allclose(found[0], expected[0])


# the tutorial's tagger, trained as there


class LSTMTagger(nn.Module):
    """The tutorial's model, with the class of its recurrent layer given."""

    def __init__(self, lstm, embedding_dim, hidden_dim, vocab_size, tagset_size):
        super().__init__()
        self.hidden_dim = hidden_dim
        self.word_embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = lstm(embedding_dim, hidden_dim)
        self.hidden2tag = nn.Linear(hidden_dim, tagset_size)

    def forward(self, sentence):
        embeds = self.word_embeddings(sentence)
        lstm_out, _ = self.lstm(embeds.view(len(sentence), 1, -1))
        tag_space = self.hidden2tag(lstm_out.view(len(sentence), -1))
        return nn.functional.log_softmax(tag_space, dim=1)


SENTENCES = [
    ("The dog ate the apple", ["DET", "NN", "V", "DET", "NN"]),
    ("Everybody read that book", ["NN", "V", "DET", "NN"]),
]
TAGS = {"DET": 0, "NN": 1, "V": 2}


def train_tagger(lstm, epochs):
    """Return the losses of every step, and the tags that the trained model gives."""
    words = {word: k for k, word in enumerate(w for s, _ in SENTENCES for w in s.split())}
    data = [
        (torch.tensor([words[w] for w in s.split()]), torch.tensor([TAGS[t] for t in tags]))
        for s, tags in SENTENCES
    ]
    torch.manual_seed(1)
    model = LSTMTagger(lstm, 6, 6, len(words), len(TAGS))
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=0.1), []
    for _ in range(epochs):
        for sentence, tags in data:
            model.zero_grad()
            loss = nn.functional.nll_loss(model(sentence), tags)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, [torch.equal(model(s).argmax(1), tags) for s, tags in data]


def test_the_tutorials_tagger_trains_as_with_torch():
    theirs, _ = train_tagger(nn.LSTM, 50)
    copied, _ = train_tagger(COPIES.LSTM, 50)
    assert copied == pytest.approx(theirs, rel=1e-3)
    assert copied[-1] < copied[0]


@pytest.mark.parametrize("weight", [Kronecker(), Dense()])
def test_the_tutorials_tagger_learns_the_tags(weight):
    losses, right = train_tagger(partial(kplib.nn.LSTM, weight=weight), 300)
    assert losses[-1] < 0.2 < 0.8 < losses[0]
    assert all(right)
