"""Hooks of Schemathesis for the issuer: requests that are valid by the document are also let go deep.

The document cannot say who is registered, what they know, or which of two fields goes with which act. Where Schemathesis
means a part of a request to be valid, that part is made to fit what the test has put in; parts that are meant to be
invalid stay as they are. What was answered is counted, so that the test sees how deep it went.
"""

import atexit
import collections
import json
import os
import random
import socket
import uuid

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

WORLD = json.load(open(os.environ["ISSUER_WORLD"], encoding="utf-8"))
ANSWERS = collections.Counter()
REQUESTS = list(WORLD["certification_requests"])
DOOMED = list(WORLD["doomed"])

# The name in the server's certificate leads to the address that the test took.
_resolve = socket.getaddrinfo


def _to_loopback(host, *arguments, **more):
    return _resolve("127.0.0.1" if host == WORLD["host"] else host, *arguments, **more)


socket.getaddrinfo = _to_loopback

BY_PAPER = {"offer", "reissue", "unlock", "delete", "switch-on", "switch-off", "users", "contracts"}
BY_USER = {"acquire", "renew", "continue"}
GROUPS = list(zip([{"acquire", "reissue"}, {"revoke", "offer"}, {"lock", "unlock"}, {"suspend", "resume"}], WORLD["groups"]))


def _meant_valid(case, location):
    part = case.meta and case.meta.components.get(location)
    return part is None or part.mode.is_positive


@schemathesis.hook
def before_call(ctx, case, kwargs):
    path = case.operation.path
    word = path.rsplit("/", 1)[-1]
    parameters = case.path_parameters or {}
    if parameters and _meant_valid(case, ParameterLocation.PATH):
        # What becomes of a contract that is switched off is another contract's.
        parameters["contract"] = "C2" if word in {"switch-on", "switch-off"} else "C1"
        if "user" in parameters:
            parameters["user"] = random.choice(_targets(word))
    if _meant_valid(case, ParameterLocation.BODY) and isinstance(case.body, dict):
        _fit(case.body, word, parameters)
        if _meant_valid(case, ParameterLocation.HEADER) and random.random() < 0.7:
            # Most are requests of their own; the others may meet a key that was used before.
            if "Idempotency-Key" in (case.headers or {}):
                case.headers["Idempotency-Key"] = str(uuid.uuid4())


def _targets(word):
    """Acts that undo each other are on users of their own, or soon nobody could do anything."""
    if word == "delete":
        return DOOMED
    groups = [group for acts, group in GROUPS if word in acts]
    return groups[0] if groups and random.random() < 0.9 else random.choice(WORLD["groups"])


def _offered(contract, user):
    """A fresh acquisition password: without one an acquisition is refused at once."""
    answer = requests.post(
        f"{WORLD['url']}/v1/contracts/{contract}/users/{user}/reissue",
        json={"staff": {"maker": "t0123", "checker": "t0456", "channel": "paper-form"}},
        headers={"Idempotency-Key": str(uuid.uuid4())},
        cert=("service.pem", "service.key"),
        verify="services-ca.pem",
        timeout=20,
    )
    return answer.json().get("acquisition_password")


def _fit(body, word, parameters):
    staff = {"maker": "t0123", "checker": "t0456", "channel": "paper-form" if word in BY_PAPER else "staff-desk"}
    if random.random() < 0.1:
        staff["channel"] = random.choice(["paper-form", "staff-desk"])
    body.pop("acting_user", None)
    body.pop("staff", None)
    user = (parameters.get("contract", ""), parameters.get("user", ""))
    if word in BY_USER:
        body["acting_user"] = {"contract": user[0], "user": user[1]}
        if random.random() < 0.9:
            body["factors"] = {"login-password": WORLD["login_password"]}
        body.pop("client_address", None)
    else:
        body["staff"] = staff
    if word == "acquire":
        secret = _offered(*user) if random.random() < 0.9 else None
        if secret:
            body["acquisition_password"] = secret
    if word in {"acquire", "renew"}:
        body["key"] = {"csr": REQUESTS.pop()} if REQUESTS and random.random() < 0.7 else {"p12_password": ""}
    if word == "credentials" and user[1]:
        body["credentials"]["login-password"] = WORLD["login_password"]
    if word == "contracts":
        body["id"] = uuid.uuid4().hex[:12]
        body["profile"] = WORLD["profile"]
    if word == "users":
        body["id"] = uuid.uuid4().hex[:12]
        body["role"] = random.choice(WORLD["roles"])


@schemathesis.hook
def after_call(ctx, case, response):
    ANSWERS[f"{case.operation.method.upper()} {case.operation.path} {response.status_code}"] += 1
    if response.status_code in (200, 201) and case.operation.method.lower() == "post":
        answer = json.loads(response.content)
        if response.status_code == 201 and case.operation.path.endswith("/users"):
            DOOMED.append(answer["user"]["user"])


@atexit.register
def _tell():
    with open(WORLD["answers"], "w", encoding="utf-8") as file:
        json.dump(ANSWERS, file, indent=1, sort_keys=True)
