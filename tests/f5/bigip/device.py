"""Requests to the device: login, tokens, uploads, transactions, faults."""

import copy
import json
import re
import time
from typing import Any
from urllib.parse import unquote, urlsplit

from .answers import Headers, Json, JsonValue, Refusal, framework, icrd
from .faults import CUTS, STATUSES
from .integrity import check
from .state import Transaction
from .writing import Writing


class BigIp(Writing):
    """A device that answers to requests."""

    def answer(self, method: str, target: str, headers: Headers, body: bytes) -> tuple[int, Any]:
        with self.lock:
            try:
                return self._answer(method, target, headers, body)
            except Refusal as no:
                return no.status, icrd(no.status, no.message, no.code)

    def exchange(self, method: str, target: str, headers: Headers, body: bytes) -> tuple[str, int, Any]:
        """Process one request; return the fault that cuts the connection (or ""), the status and the answer."""
        if self.hook:
            self.hook(method, target, body)
        transaction = headers.get("X-F5-REST-Coordination-Id") or ""
        with self.lock:
            self.log.append((method, target, transaction, 0))
            index = len(self.log) - 1
            self._continue()
            fault = next((one for one in self.faults if one.hits(index + 1, method, target)), None)
            if fault and fault.late:
                self._defer(fault.late, method, target, body)
        action = fault.action if fault else ""
        status, data = 200, "\x00{not json" if action == "garbage" else None
        if fault is None or fault.after:
            answered = self.answer(method, target, headers, body)
            status, data = (status, data) if action == "garbage" else answered
        if action in STATUSES:
            status, data = STATUSES[action]
        cut = action if action in CUTS else ""
        if not cut:
            self.log[index] = (method, target, transaction, status)
        return cut, status, data

    def _defer(self, count: int, method: str, target: str, body: bytes) -> None:
        """Process a request after `count` others; meanwhile, its transaction is shown as being validated."""
        self.deferred.append([count, (method, target, None, json.loads(body))])
        if one := self.transactions.get(target.rpartition("/")[2]):
            one.state = "VALIDATING"

    def _continue(self) -> None:
        """Process deferred requests whose time has come."""
        for entry in list(self.deferred):
            entry[0] -= 1
            if entry[0] < 0:
                self.deferred.remove(entry)
                self._configuration(*entry[1])

    def _answer(self, method: str, target: str, headers: Headers, body: bytes) -> tuple[int, Any]:
        path = urlsplit(target).path.rstrip("/")
        if path == "/mgmt/shared/authn/login":
            return self._login(json.loads(body))
        if path == "/iControl/iControlPortal.cgi" and self.portal:
            answered: tuple[int, Any] = self.portal(self, method, target, headers, body)
            return answered
        denied = self._denied(headers)
        if denied:
            return denied
        if path.startswith("/mgmt/shared/file-transfer/uploads/"):
            return self._upload(path.rpartition("/")[2], headers, body)
        if path.startswith("/mgmt/shared/authz/tokens/"):
            return self._token(method, path.rpartition("/")[2])
        try:
            data = json.loads(body) if body else None
        except ValueError:
            return 400, icrd(400, "Found invalid JSON body in the request.", 1)
        for extension in self.extensions:
            if (found := extension(self, method, target, data, dict(headers))) is not None:
                return found
        return self._configuration(method, target, headers.get("X-F5-REST-Coordination-Id"), data)

    def _configuration(self, method: str, target: str, transaction: str | None, data: JsonValue) -> tuple[int, Any]:
        url = urlsplit(target)
        path = url.path.rstrip("/")
        if not path.startswith("/mgmt/tm/"):
            return 404, framework(404, f"Public URI path not registered: {path}") | {"unknown": True}
        if transaction is not None:
            return self._queue(transaction, method, path, data)
        if path.startswith("/mgmt/tm/transaction"):
            return self._transaction(method, path, data)
        if method == "GET":
            return self._get(path, unquote(url.query))
        return self._write(method, path, data)

    def _denied(self, headers: Headers) -> tuple[int, Json] | None:
        token = headers.get("X-F5-Auth-Token")
        if headers.get("Authorization"):
            return 401, framework(401, "Authentication failed.")
        if token is None:
            return 401, framework(401, "Authorization failed: no user authentication header or token detected.")
        if token not in self.tokens:
            return 401, framework(401, "X-F5-Auth-Token does not exist.")
        if self.tokens[token] < time.monotonic():
            del self.tokens[token]
            return 401, framework(401, "X-F5-Auth-Token has expired.")
        return None

    def _login(self, data: Json) -> tuple[int, Any]:
        if set(data) != {"username", "password", "loginProviderName"}:
            return 400, framework(400, "unknown property")
        if data["loginProviderName"] != "tmos":
            return 401, {"code": 401, "message": "loginProviderName is invalid."}
        if (data["username"], data["password"]) != (self.user, self.password):
            return 401, framework(401, "Authentication failed.")
        if len(self.tokens) >= 100:
            return 400, {"code": 400, "message": f"user {self.user} has reached maximum active login tokens"}
        self.tokens_made += 1
        token = f"TOKEN{self.tokens_made:021d}"
        self.tokens[token] = time.monotonic() + 1200
        return 200, {
            "username": self.user,
            "loginReference": {"link": "https://localhost/mgmt/cm/system/authn/providers/tmos/1/login"},
            "token": {
                "token": token,
                "name": token,
                "userName": self.user,
                "timeout": 1200,
                "kind": "shared:authz:tokens:authtokenitemstate",
            },
        }

    def _token(self, method: str, token: str) -> tuple[int, Any]:
        if method != "DELETE" or token not in self.tokens:
            return 404, framework(404, "token not found")
        del self.tokens[token]
        return 200, {"token": token}

    def _upload(self, name: str, headers: Headers, body: bytes) -> tuple[int, Any]:
        ranged = re.fullmatch(r"(\d+)-(\d+)/(\d+)", headers.get("Content-Range") or "")
        first, last, total = map(int, ranged.groups()) if ranged else (0, 0, 0)
        if (
            last - first + 1 != len(body)
            or last >= total
            or len(body) > 1024 * 1024
            or headers.get("Content-Type") != "application/octet-stream"
        ):
            return 400, framework(400, "Content-Range or type is wrong")
        before = self.uploads.get(name, b"") if first else b""
        if len(before) < first:
            return 400, framework(400, "a part of the upload is missing")
        self.uploads[name] = before[:first] + body
        return 200, {
            "remainingByteCount": total - last - 1,
            "totalByteCount": total,
            "localFilePath": f"/var/config/rest/downloads/{name}",
        }

    def _transaction(self, method: str, path: str, data: JsonValue) -> tuple[int, Any]:
        number = path.removeprefix("/mgmt/tm/transaction").strip("/")
        if method == "POST" and not number:
            made = Transaction(1526674837169915 + len(self.transactions))
            self.transactions[str(made.number)] = made
            return 200, self._shown_transaction(made)
        if method == "GET" and not number:
            return 200, {"items": [], "kind": "tm:transactioncollectionstate"}
        found = self.transactions.get(number)
        if found is None:
            return 404, icrd(404, f"Transaction {number} is not found.", 1)
        if method == "DELETE":
            del self.transactions[number]
            return 200, None
        if method == "GET":
            return 200, self._shown_transaction(found)
        return self._commit(found, data)

    def _shown_transaction(self, one: Transaction) -> Json:
        shown: Json = {"transId": one.number, "state": one.state, "timeoutSeconds": 120, "kind": "tm:transactionstate"}
        if self.parts >= (12,):
            shown |= {
                "asyncExecution": False,
                "validateOnly": False,
                "executionTimeout": 300,
                "executionTime": 0,
                "failureReason": "",
            }
        return shown | {"selfLink": f"https://localhost/mgmt/tm/transaction/{one.number}?ver={self.version}"}

    def _queue(self, number: str, method: str, path: str, data: JsonValue) -> tuple[int, Any]:
        found = self.transactions.get(number)
        if found is None:
            return 404, icrd(404, f"Transaction {number} is not found.", 1)
        found.commands.append((method, path, data))
        order = len(found.commands)
        return 200, {
            "method": method,
            "uri": f"https://localhost{path}",
            "body": data or {},
            "evalOrder": order,
            "commandId": order,
            "kind": "tm:transaction:commandsstate",
        }

    def _commit(self, one: Transaction, data: JsonValue) -> tuple[int, Any]:
        if not isinstance(data, dict) or data.get("state") != "VALIDATING" or set(data) - {"state", "validateOnly"}:
            return 400, icrd(400, "invalid transaction state", 1)
        if "validateOnly" in data and self.parts < (12,):
            return 400, icrd(400, "unknown property validateOnly", 26214401)
        if not one.commands:
            return 404, icrd(404, "there is no command to commit in the transaction.", 1)
        trial = copy.deepcopy(self.objects)
        try:
            for method, path, body in one.commands:
                if path == "/mgmt/tm/transaction" or path.startswith("/mgmt/tm/sys/config"):
                    raise Refusal(400, "this command cannot be part of a transaction")
                self.apply(trial, method, path, body)
            check(trial)
        except Refusal as no:
            del self.transactions[str(one.number)]
            return 400, icrd(400, f"transaction failed:{no.message}", 2)
        if data.get("validateOnly"):
            return 200, {**self._shown_transaction(one), "validateOnly": True, "state": "VALIDATING"}
        self.objects = trial
        del self.transactions[str(one.number)]
        one.state = "COMPLETED"
        return 200, self._shown_transaction(one)
