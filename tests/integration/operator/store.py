"""An API server in memory, as far as the operator can tell: versions, server-side apply, patches.

It knows no schema and no rights; those are the real API server's business (tests/e2e).
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jsonpatch

Object = dict[str, Any]
CREATED = "2026-01-01T00:00:00Z"
WITH_STATUS = {"bazaars", "statefulsets", "pods", "poddisruptionbudgets"}


class Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Key(NamedTuple):
    plural: str
    namespace: str
    name: str


class Store:
    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.dropped: tuple[str, ...] = ()
        """Fields of a status that the definition does not know."""
        self.writes: list[tuple[str, Key]] = []
        self._versions, self._uids = itertools.count(100), itertools.count(1)
        self._wishes: dict[tuple[str, str], Object] = {}
        self.watchers: list[Callable[[str, str, Object], None]] = []
        """Told type, plural and object of each change."""
        self.before_delete: Callable[[Key, Object], None] = lambda _key, _body: None

    # ---- reading

    def get(self, plural: str, name: str, namespace: str = "ns") -> Object:
        return copy.deepcopy(self.objects[Key(plural, namespace, name)])

    def all(self, plural: str, namespace: str = "", selector: str = "") -> list[Object]:
        wanted = [pair.partition("=")[::2] for pair in selector.split(",") if pair]
        return [
            copy.deepcopy(body)
            for key, body in sorted(self.objects.items())
            if key.plural == plural
            and namespace in {"", key.namespace}
            and all(body["metadata"].get("labels", {}).get(k) == v for k, v in wanted)
        ]

    @property
    def version(self) -> str:
        return str(next(self._versions))

    # ---- writing

    def create(self, plural: str, body: Object) -> Object:
        meta = body["metadata"]
        key = Key(plural, meta.get("namespace", ""), meta["name"])
        if key in self.objects:
            raise Refused(409, f"{key} exists")
        body = copy.deepcopy(body)
        body["metadata"] |= {"uid": f"uid-{next(self._uids)}", "creationTimestamp": CREATED}
        self._put("ADDED", key, {}, body)
        return copy.deepcopy(self.objects[key])

    def apply(self, key: Key, wish: Object) -> Object:
        """Server-side apply: what the former wish had and this one has not is removed."""
        old = self.objects.get(key)
        if old is None:
            self.create(key.plural, wish)
            self._sign(key)
        else:
            former = self._wishes.get((old["metadata"]["uid"], "bazaar-operator"), {})
            new = _merge(_without(copy.deepcopy(old), former, wish), wish)
            if new != old:
                self._put("MODIFIED", key, old, new)
                self._sign(key)
        uid = self.objects[key]["metadata"]["uid"]
        self._wishes[uid, "bazaar-operator"] = copy.deepcopy(wish)
        return copy.deepcopy(self.objects[key])

    def _sign(self, key: Key) -> None:
        meta = self.objects[key]["metadata"]
        meta["managedFields"] = [
            {"manager": "bazaar-operator", "operation": "Apply", "time": meta["resourceVersion"]}
        ]

    def patch(self, key: Key, steps: list[Object], sub: str = "") -> Object:
        if key not in self.objects:
            raise Refused(404, f"{key} is not there")
        old = self.objects[key]
        try:
            new = jsonpatch.apply_patch(old, steps)
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as wrong:
            raise Refused(422, str(wrong)) from wrong
        return self._replace(key, old, new, sub)

    def merge(self, key: Key, change: Object, sub: str = "") -> Object:
        if key not in self.objects:
            raise Refused(404, f"{key} is not there")
        old = self.objects[key]
        return self._replace(key, old, _merge(copy.deepcopy(old), change), sub)

    def _replace(self, key: Key, old: Object, new: Object, sub: str) -> Object:
        if key.plural in WITH_STATUS:
            base = old if sub == "status" else new
            other = new if sub == "status" else old
            status = _kept(other.get("status", {}), self.dropped)
            new = {**base, "metadata": {**base["metadata"]}, "status": status}
        if new != old:
            self._put("MODIFIED", key, old, new)
        return copy.deepcopy(self.objects[key])

    def delete(self, key: Key, uid: str = "") -> Object:
        """Mark a pod as leaving, as a kubelet has to end it; delete everything else at once."""
        if key not in self.objects:
            raise Refused(404, f"{key} is not there")
        old = self.objects[key]
        if uid not in {"", old["metadata"]["uid"]}:
            raise Refused(409, "the uid is another one")
        self.before_delete(key, old)
        if key.plural == "pods" and "deletionTimestamp" not in old["metadata"]:
            meta = {**old["metadata"], "deletionTimestamp": CREATED}
            self._put("MODIFIED", key, old, {**old, "metadata": meta})
        elif key.plural != "pods":
            self.remove(key)
        return copy.deepcopy(old)

    def remove(self, key: Key) -> None:
        """Let an object be gone, and with it what it owns."""
        body = self.objects.pop(key)
        body["metadata"]["resourceVersion"] = self.version
        self._tell("DELETED", key, body)
        uid = body["metadata"]["uid"]
        for owned, other in list(self.objects.items()):
            owners = other["metadata"].get("ownerReferences", [])
            if any(owner["uid"] == uid for owner in owners) and owned in self.objects:
                self.remove(owned)

    def _put(self, kind: str, key: Key, old: Object, new: Object) -> None:
        meta = new["metadata"] = {**new["metadata"]}
        generation = old.get("metadata", {}).get("generation", 0)
        meta["generation"] = generation + (not old or old.get("spec") != new.get("spec"))
        meta["resourceVersion"] = self.version
        if not old and key.plural == "bazaars":
            new.setdefault("status", {"observedGeneration": -1})
        self.objects[key] = new
        self._tell(kind, key, new)

    def _tell(self, kind: str, key: Key, body: Object) -> None:
        self.writes.append((kind, key))
        for told in self.watchers:
            told(kind, key.plural, copy.deepcopy(body))

    # ---- as HTTP

    def answer(
        self, method: str, path: str, body: Any = None, content: str = "", selector: str = ""
    ) -> Object:
        """Answer a call of the API. Raises: Refused."""
        plural, namespace, name, sub = parts_of(path)
        key = Key(plural, namespace, name)
        match method.upper():
            case "GET" if not name:
                meta = {"resourceVersion": self.version}
                return {"metadata": meta, "items": self.all(plural, namespace, selector)}
            case "GET":
                if key not in self.objects:
                    raise Refused(404, f"{key} is not there")
                return copy.deepcopy(self.objects[key])
            case "POST":
                body["metadata"].setdefault("namespace", namespace)
                return self.create(plural, body)
            case "PATCH" if "apply-patch" in content:
                return self.apply(key, body)
            case "PATCH" if isinstance(body, list):
                return self.patch(key, body, sub)
            case "PATCH":
                return self.merge(key, body, sub)
            case "DELETE":
                return self.delete(key, ((body or {}).get("preconditions") or {}).get("uid", ""))
            case _:
                raise Refused(405, f"{method} {path}")


def _kept(told: Object, dropped: Iterable[str], within: str = "") -> Object:
    """Leave out what a definition does not know: `field`, or `field.field`."""
    return {
        name: _kept(value, dropped, f"{name}.") if isinstance(value, dict) else value
        for name, value in told.items()
        if within + name not in dropped
    }


def parts_of(path: str) -> tuple[str, str, str, str]:
    """Split a path into plural, namespace, name and subresource."""
    words = path.strip("/").split("/")
    words = words[2:] if words[0] == "api" else words[3:]
    namespace = ""
    if words[:1] == ["namespaces"] and len(words) > 2:
        namespace, words = words[1], words[2:]
    plural, name, sub = (*words, "", "", "")[:3]
    return plural, namespace, name, sub


def _merge(into: Object, change: Object) -> Object:
    for key, value in change.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            into[key] = _merge(dict(into.get(key) or {}), value)
        else:
            into[key] = json.loads(json.dumps(value))
    return into


def _without(live: Object, former: Object, wish: Object) -> Object:
    for key, value in former.items():
        if key not in wish:
            live.pop(key, None)
        elif isinstance(value, dict) and isinstance(live.get(key), dict):
            live[key] = _without(dict(live[key]), value, wish[key])
    return live
