from __future__ import annotations

import attrs
from modelyard.router import RouterState, protos, resources
from modelyard.router.discovery import Conversation
from modelyard.router.protos import Answer, Ask
from modelyard.router.resources import Resources

from engine.tests.router.conftest import service


def offered(*names: str) -> Resources:
    return resources(RouterState("127.0.0.1", 1, tuple(service(name) for name in names)))


def subscribed() -> Conversation:
    conversation = Conversation()
    for url in protos.TYPES:
        conversation.hear(Ask(url))
    return conversation


def ack(answer: Answer) -> Ask:
    return Ask(answer.type_url, version=answer.version, nonce=answer.nonce)


def test_types_are_sent_so_that_nothing_refers_to_what_is_not_there_yet():
    assert tuple(answer.type_url for answer in subscribed().answers(offered("a"))) == protos.TYPES


def test_nothing_is_said_twice():
    conversation = subscribed()
    for answer in list(conversation.answers(offered("a"))):
        conversation.hear(ack(answer))
    assert list(conversation.answers(offered("a"))) == []


def test_endpoints_are_said_again_after_a_changed_cluster():
    conversation = subscribed()
    first = offered("a")
    list(conversation.answers(first))
    changed = first.replacing(protos.CLUSTER, offered("a", "b").types[protos.CLUSTER])
    assert [answer.type_url for answer in conversation.answers(changed)] == [protos.CLUSTER, protos.ENDPOINTS]


def test_a_new_set_of_names_is_answered_with_the_same_version():
    conversation = subscribed()
    answer = next(a for a in list(conversation.answers(offered("a"))) if a.type_url == protos.ENDPOINTS)
    conversation.hear(attrs.evolve(ack(answer), names=("service/default/a",)))
    again = list(conversation.answers(offered("a")))
    assert [(a.type_url, a.version) for a in again] == [(protos.ENDPOINTS, answer.version)]


def test_all_is_taken_only_when_every_type_was_acknowledged():
    conversation = subscribed()
    answers = list(conversation.answers(offered("a")))
    for answer in answers[:-1]:
        conversation.hear(ack(answer))
        assert not conversation.took_all(offered("a"))
    conversation.hear(ack(answers[-1]))
    assert conversation.took_all(offered("a"))


def test_a_refusal_keeps_its_words_and_is_not_an_acknowledgement():
    conversation = subscribed()
    answer = next(iter(list(conversation.answers(offered("a")))))
    conversation.hear(Ask(answer.type_url, version="older", nonce=answer.nonce, error="no such thing"))
    conversation.hear(Ask(answer.type_url, version="older", nonce=answer.nonce, names=("x",)))
    assert conversation.rejection_of_any(offered("a")) == "no such thing"
    assert not conversation.took(answer.type_url, offered("a"))


def test_a_word_about_an_older_answer_is_ignored():
    conversation = subscribed()
    old = next(iter(list(conversation.answers(offered("a")))))
    list(conversation.answers(offered("a", "b")))
    conversation.hear(attrs.evolve(ack(old), version=offered("a", "b").types[old.type_url].version))
    assert not conversation.took(old.type_url, offered("a", "b"))
