"""Addresses: what is none is refused at once, with what one looks like."""

from __future__ import annotations

import pytest

from freewheel.publishing import SCHEMES, Publisher, read_address


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("localhost:5577", "it has no scheme"),
        ("", "it has no scheme"),
        ("amqp://localhost:5577", "no scheme 'amqp'"),
        ("http://localhost:8000", "for a Tiled server write tiled://"),
        ("zmq://localhost", "it has no port"),
        ("zmq://:5577", "':5577' is no HOST:PORT"),
        ("zmq://localhost:port", "'localhost:port' is no HOST:PORT"),
        ("nats://localhost:70000", "there is no port 70000"),
        ("zmq://localhost:0", "there is no port 0"),
        ("kafka://a:9092,b", "it has no port"),
        ("zmq://localhost:5577?topic=x", "cannot have an option 'topic'"),
        ("tiled://localhost:8000?batch_size=many", "'many' is no number of events"),
        ("tiled://localhost:8000?batch_size=0", "'0' is no number of events"),
        ("zmq://local host:5577", "is no HOST:PORT"),
        ("zmq://localhost:5577/prefix", "cannot have a path"),
        ("zmq://localhost:5577?prefix=a b", "'a b' is no prefix: it has a space"),
        ("zmq://one:5577,two:5577", "cannot have several servers"),
        ("tiled://me:secret@localhost:8000", "cannot have a user"),
        ("kafka://localhost:9092/my topic", "cannot have the topic 'my topic'"),
        ("kafka://localhost:9092/..", "cannot have the topic '..'"),
        ("nats://localhost:4222/lab.*", "cannot have the subject 'lab.*'"),
        ("nats://localhost:4222/lab..documents", "cannot have the subject"),
        ("zmq://[::1:5577", "Invalid IPv6"),
    ],
)
def test_what_is_none_is_refused_at_once(address: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"Write \w+://") as failure:
        Publisher(address)
    assert why in str(failure.value)


def test_without_a_scheme_all_are_named() -> None:
    with pytest.raises(ValueError, match="no scheme") as failure:
        read_address("ftp://localhost:21")
    assert all(form in str(failure.value) for form in SCHEMES.values())


def test_keys_and_passwords_are_not_shown() -> None:
    for text in ("nats://me:secret@localhost:4222/lab", "tiled://localhost:1?api_key=secret"):
        address = read_address(text)
        assert "secret" not in f"{address} {address!r} {address.label}"
    for text in (
        "nats://me:secret@localhost?api_key=secret",
        "nats://me:secret@secret@localhost",
        "nats://me:secret/secret@localhost:4222",
        "nats://me:secret?secret@localhost:4222",
        "tiled://localhost:port?api_key=secret@secret",
    ):
        with pytest.raises(ValueError, match="cannot be published to") as failure:
            read_address(text)
        assert "secret" not in str(failure.value)


def test_a_command_says_all_but_the_secrets() -> None:
    for text, typed in (
        ("zmq://localhost:5577", "zmq://localhost:5577"),
        ("zmq://localhost:5577?prefix=two", "'zmq://localhost:5577?prefix=two'"),
        ("nats://me:secret@localhost:4222/lab", "nats://USER:PASSWORD@localhost:4222/lab"),
        (
            "tiled://localhost:1?api_key=secret&arrays=/data/arrays",
            "'tiled://localhost:1?api_key=KEY&arrays=/data/arrays'",
        ),
    ):
        assert read_address(text).typed == typed


def test_parts() -> None:
    address = read_address("kafka://one:9092,two:9093/lab.documents?key=k")
    assert (address.scheme, address.servers, address.path) == (
        "kafka",
        "one:9092,two:9093",
        "lab.documents",
    )
    assert address.options == {"key": "k"}
    assert address.label == "kafka-one-9092-two-9093-lab.documents"
    assert read_address("tiled://localhost:1?api_key=a@b").options == {"api_key": "a@b"}
    assert len(read_address(f"kafka://localhost:9092/{'x' * 249}").label) < 255
    assert read_address("zmq://[::1]:5577").servers == "[::1]:5577"
