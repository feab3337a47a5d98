"""A mail server (aiosmtpd) that answers as told and says on standard output what it got, one JSON object a line.

The argument is a JSON object:
  tls       "none", "starttls", "implicit"
  chain     PEM file with certificate and key, for the latter two
  login     [user, password] that it asks for, or null
  answers   {"mail"|"rcpt"|"data": [answer, ...]}: each is given once, in this order; "" is the usual answer, and
            "break" takes the mail and breaks off instead of saying so
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

OPTIONS = json.loads(sys.argv[1])


def tell(event):
    print(json.dumps(event), flush=True)


class Handler:
    def __init__(self):
        self.answers = {step: list(answers) for step, answers in OPTIONS["answers"].items()}

    def answer(self, step):
        answers = self.answers.get(step)
        answer = answers.pop(0) if answers else ""
        if answer and answer != "break":
            tell({"event": "refused", "step": step, "answer": answer})
        return answer

    async def handle_MAIL(self, server, session, envelope, address, options):
        if answer := self.answer("mail"):
            return answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if answer := self.answer("rcpt"):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        answer = self.answer("data")
        if answer and answer != "break":
            return answer
        message = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        tell({
            "event": "mail",
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "fields": message.keys(),
            "header_from": str(message["From"]),
            "header_to": str(message["To"]),
            "subject": str(message["Subject"]),
            "id": str(message["Message-ID"]),
            "date": message["Date"].datetime.timestamp(),
            "auto": str(message["Auto-Submitted"]),
            "type": message.get_content_type(),
            "charset": message.get_content_charset(),
            "parts": message.is_multipart(),
            "defects": [str(defect) for defect in message.defects],
            "body": message.get_content().replace("\r\n", "\n"),
            "tls": session.ssl is not None or OPTIONS["tls"] == "implicit",
            "login": session.auth_data.login.decode() if session.authenticated else None,
        })
        if answer == "break":
            server.transport.abort()
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and [data.login.decode(), data.password.decode()] == OPTIONS["login"]
    tell({"event": "login", "right": right})
    return AuthResult(success=right, handled=False, auth_data=data if right else None)


async def main():
    context = None
    if OPTIONS["tls"] != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(OPTIONS["chain"])
    starttls = OPTIONS["tls"] == "starttls"
    handler = Handler()

    def connection():
        tell({"event": "connection"})
        return SMTP(
            handler,
            hostname="mail.test",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=authenticate if OPTIONS["login"] else None,
            auth_required=bool(OPTIONS["login"]),
            auth_require_tls=starttls,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=context if not starttls else None)
    tell({"event": "listening", "port": server.sockets[0].getsockname()[1]})
    await server.serve_forever()


asyncio.run(main())
