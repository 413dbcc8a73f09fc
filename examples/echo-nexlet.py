#!/usr/bin/env python3
"""A nexlet in Python, of the standard library alone: what any language needs to be one.

Workloads of type `echo` answer on a subject with what they are sent. It speaks NATS' text protocol over a
plain socket. Launched by a node it finds the eight variables NEX_AGENT_… in its environment; launched by
anybody else, with NEX_AGENT_NATS_SERVERS alone, it asks the nodes of a nexus for an id.

    nex nexlet check --start-request '{"subject":"py.echo"}' -- python3 examples/echo-nexlet.py
"""

import json
import os
import random
import signal
import socket
import string
import sys
import threading
import time
from datetime import datetime, timezone
from urllib.parse import urlparse

NAME, TYPE, VERSION = "echo-py", "echo", "1.0.0"
HEARTBEAT = 5.0
SCHEMA = {"type": "object", "required": ["subject"], "properties": {"subject": {"type": "string"}}}


def now():
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def token():
    return "".join(random.choices(string.ascii_letters + string.digits, k=22))


class Nats:
    """One connection. Callbacks run in the thread that reads, so they must not wait for a reply."""

    def __init__(self, url, user="", password=""):
        address = urlparse(url if "://" in url else f"nats://{url}")
        self.socket = socket.create_connection((address.hostname, address.port or 4222), timeout=5)
        self.socket.settimeout(None)
        self.closing = False
        self.stream = self.socket.makefile("rb")
        self.lock, self.callbacks, self.inbox = threading.Lock(), {}, f"_INBOX.{token()}"
        self.stream.readline()  # INFO
        options = {"verbose": False, "pedantic": False, "lang": "python", "version": "1", "headers": True,
                   "no_responders": True, "name": f"nexlet-{NAME}"}
        if user or address.username:
            options["user"], options["pass"] = user or address.username, password or address.password or ""
        self.send(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        threading.Thread(target=self.read, daemon=True).start()

    def send(self, data):
        with self.lock:
            self.socket.sendall(data)

    def publish(self, subject, body, reply="", headers=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        if headers is None:
            return self.send(f"PUB {subject} {reply} {len(body)}\r\n".encode() + body + b"\r\n")
        block = "NATS/1.0\r\n" + "".join(f"{key}: {value}\r\n" for key, value in headers.items()) + "\r\n"
        block = block.encode()
        size = f"{len(block)} {len(block) + len(body)}"
        return self.send(f"HPUB {subject} {reply} {size}\r\n".encode() + block + body + b"\r\n")

    def subscribe(self, subject, callback, queue=""):
        sid = str(len(self.callbacks) + 1)
        self.callbacks[sid] = callback
        self.send(f"SUB {subject} {queue} {sid}\r\n".encode())
        return sid

    def unsubscribe(self, sid):
        self.callbacks[sid] = None
        self.send(f"UNSUB {sid}\r\n".encode())

    def request(self, subject, body, patience):
        """The first reply's body and headers; none when nobody answers."""
        inbox, answer, answered = f"{self.inbox}.{token()}", [], threading.Event()

        def on_reply(_subject, _reply, headers, body):
            answer.append((headers, body))
            answered.set()

        sid = self.subscribe(inbox, on_reply)
        self.publish(subject, body, reply=inbox)
        answered.wait(patience)
        self.unsubscribe(sid)
        return answer[0] if answer else None

    def read(self):
        while line := self.stream.readline():
            words = line.decode().split()
            if words[0] == "PING":
                self.send(b"PONG\r\n")
            elif words[0] in ("MSG", "HMSG"):
                self.deliver(words)
            elif words[0] == "-ERR":
                print("NATS says", line.decode().strip(), file=sys.stderr)  # also refused publishes: go on
        if not self.closing:
            os._exit(1)  # the connection is gone; whoever launched us launches us again

    def close(self):
        self.closing = True
        self.socket.shutdown(socket.SHUT_WR)

    def deliver(self, words):
        total, has_headers = int(words[-1]), words[0] == "HMSG"
        subject, sid = words[1], words[2]
        rest = words[3:-2] if has_headers else words[3:-1]
        data = self.stream.read(total + 2)[:total]
        size = int(words[-2]) if has_headers else 0
        headers, body = data[:size].decode(), data[size:]
        callback = self.callbacks.get(sid)
        if callback:
            callback(subject, rest[0] if rest else "", headers, body)


class Nexlet:
    def __init__(self, nats, node_id, agent_id):
        self.nats, self.node_id, self.agent_id = nats, node_id, agent_id
        self.workloads, self.state, self.started = {}, "running", now()

    def register(self):
        request = {"description": "Answers on a subject with what it is sent", "max_workloads": 0, "name": NAME,
                   "public_xkey": "", "register_type": TYPE, "start_request_schema": json.dumps(SCHEMA),
                   "supported_lifecycles": ["service"], "version": VERSION}
        answer = self.nats.request(f"$NEX.SVC.{self.node_id}.agent.REGISTER.{self.agent_id}", request, 60)
        if answer is None or "Nats-Service-Error-Code" in answer[0]:
            sys.exit(f"the node refused the registration: {answer}")
        return json.loads(answer[1])

    def serve(self, existing):
        of_node = f"$NEX.SVC.{self.node_id}.agent"
        self.endpoints = [
            ("StartWorkload", f"{of_node}.{self.agent_id}.STARTWORKLOAD.*", self.on_start),
            ("StopWorkload", f"{of_node}.STOPWORKLOAD.*", self.on_stop),
            ("GetWorkload", f"{of_node}.GETWORKLOAD.*", self.on_get),
            ("QueryWorkloads", f"{of_node}.QUERYWORKLOADS", self.on_query),
            ("PingAgent", f"{of_node}.{self.agent_id}.PING", self.on_ping),
            ("PingAllAgents", f"{of_node}.PING", self.on_ping),
            ("SetLameduck", f"{of_node}.SETLAMEDUCK", self.on_lame_duck),
        ]
        for _name, subject, handler in self.endpoints:
            self.nats.subscribe(subject, self.guarded(handler), queue=self.agent_id)
        for subject in ("$SRV.INFO", f"$SRV.INFO.{NAME}", f"$SRV.INFO.{NAME}.{self.agent_id}"):
            self.nats.subscribe(subject, self.on_info)
        for workload_id, message in (existing or {}).items():
            self.start(workload_id, message["request"])
        threading.Thread(target=self.beat, daemon=True).start()

    def guarded(self, handler):
        """Every request gets a reply, also a malformed one."""
        def guard(subject, reply, _headers, body):
            workload_id = subject.rsplit(".", 1)[-1]
            try:
                handler(workload_id, reply, body)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.fail(reply, f"malformed request: {error!r}", self.error_body(handler, workload_id))
        return guard

    def error_body(self, handler, workload_id):
        if handler == self.on_start:
            return {"id": workload_id, "name": ""}
        if handler == self.on_stop:
            return self.not_stopped(workload_id)
        return b""

    def fail(self, reply, why, body=b""):
        self.nats.publish(reply, body, headers={"Nats-Service-Error": why, "Nats-Service-Error-Code": "100"})

    def start(self, workload_id, request):
        if workload_id in self.workloads:
            return
        subject = json.loads(request["run_request"])["subject"]
        if not isinstance(subject, str) or not subject or " " in subject or subject.startswith("$"):
            raise ValueError("subject")

        def on_message(_subject, reply, _headers, body):
            self.log(request["namespace"], workload_id, f"echoed {len(body)} bytes")
            if reply:
                self.nats.publish(reply, body)

        sid = self.nats.subscribe(subject, on_message, queue=f"nex.{request['namespace']}.{request['name']}")
        self.workloads[workload_id] = {"request": request, "sid": sid, "started": now()}
        self.log(request["namespace"], workload_id, f"listens on {subject}")
        self.event("WORKLOADSTARTED", workload_id, request)

    def on_start(self, workload_id, reply, body):
        request = json.loads(body)["request"]
        name = request["name"] or workload_id
        try:
            self.start(workload_id, {**request, "name": name})
        except (ValueError, KeyError, TypeError) as error:
            return self.fail(reply, f"cannot start {name}: {error}", {"id": workload_id, "name": name})
        return self.nats.publish(reply, {"id": workload_id, "name": name})

    def not_stopped(self, workload_id):
        return {"id": workload_id, "message": "workload not found", "stopped": False, "workload_type": TYPE}

    def on_stop(self, workload_id, reply, body):
        namespace = json.loads(body)["namespace"]
        workload = self.workloads.get(workload_id)
        if workload is None or workload["request"]["namespace"] != namespace:
            return self.fail(reply, "workload not found", self.not_stopped(workload_id))
        self.nats.unsubscribe(workload["sid"])
        del self.workloads[workload_id]
        self.event("WORKLOADSTOPPED", workload_id, workload["request"])
        return self.nats.publish(reply, {**self.not_stopped(workload_id), "message": "", "stopped": True})

    def on_get(self, workload_id, reply, _body):
        if workload_id in self.workloads:  # else silence: another nexlet may run it
            self.nats.publish(reply, self.workloads[workload_id]["request"])

    def on_query(self, _id, reply, body):
        query = json.loads(body)
        namespace, wanted = query["namespace"], query["filter"] or []
        found = []
        for workload_id, workload in self.workloads.items():
            request = workload["request"]
            if namespace not in ("system", request["namespace"]):
                continue
            if wanted and workload_id not in wanted and request["name"] not in wanted:
                continue
            found.append({"id": workload_id, "name": request["name"], "namespace": request["namespace"],
                          "runtime": "--", "start_time": workload["started"], "tags": request["tags"],
                          "workload_lifecycle": request["workload_lifecycle"], "workload_state": "running",
                          "workload_type": TYPE})
        self.nats.publish(reply, found)

    def on_ping(self, _id, reply, _body):
        self.nats.publish(reply, self.summary(), headers={"agentId": self.agent_id})

    def on_lame_duck(self, _id, reply, body):
        delay = json.loads(body)["delay"]
        if not isinstance(delay, str) or not delay[:1].isdigit():
            raise ValueError("delay")
        self.state = "lameduck"
        self.nats.publish(reply, {"message": "", "success": True})
        self.nats.publish(self.heartbeat_subject(), {"data": "", "summary": self.summary()})

    def on_info(self, _subject, reply, _headers, _body):
        endpoints = [{"name": name, "subject": subject, "queue_group": self.agent_id, "metadata": None}
                     for name, subject, _handler in self.endpoints]
        self.nats.publish(reply, {"type": "io.nats.micro.v1.info_response", "name": NAME, "id": self.agent_id,
                                  "version": VERSION, "metadata": {}, "description": "", "endpoints": endpoints})

    def summary(self):
        return {"name": NAME, "start_time": self.started, "state": self.state, "supported_lifecycles": "service",
                "type": TYPE, "version": VERSION, "workload_count": len(self.workloads)}

    def heartbeat_subject(self):
        return f"$NEX.SVC.{self.node_id}.agent.HEARTBEAT.{self.agent_id}"

    def beat(self):
        while True:
            self.nats.publish(self.heartbeat_subject(), {"data": "", "summary": self.summary()})
            time.sleep(HEARTBEAT)

    def log(self, namespace, workload_id, line):
        self.nats.publish(f"$NEX.FEED.{namespace}.logs.{workload_id}.stdout", f"{line}\n".encode())

    def event(self, kind, workload_id, request):
        self.nats.publish(f"$NEX.FEED.{request['namespace']}.events.{kind}",
                          {"id": workload_id, "namespace": request["namespace"], "workload_type": TYPE})

    def end(self):
        self.state = "stopping"
        for workload_id, workload in list(self.workloads.items()):
            self.nats.unsubscribe(workload["sid"])
            self.event("WORKLOADSTOPPED", workload_id, workload["request"])
        self.nats.close()


def first(servers):
    return servers.split(",")[0].strip() or "nats://127.0.0.1:4222"


def main():
    servers = os.environ["NEX_AGENT_NATS_SERVERS"]
    login = os.environ.get("NEX_AGENT_NATS_USER", ""), os.environ.get("NEX_AGENT_NATS_PASSWORD", "")
    nats = Nats(first(servers), *login)
    node_id, agent_id = os.environ.get("NEX_AGENT_NODE_ID"), os.environ.get("NEX_AGENT_ASSIGNED_ID")
    if not agent_id:
        nexus = os.environ.get("NEX_AGENT_NEXUS", "nexus")
        answer = nats.request(f"$NEX.SVC.{nexus}.agent.RREGISTER", {}, 3)
        if answer is None or "Nats-Service-Error" in answer[0] or "503" in answer[0]:
            sys.exit(f"no node of nexus {nexus} takes remote nexlets")
        given = json.loads(answer[1])
        node_id, agent_id = given["respond_to"], given["assigned_agent_id"]
    nexlet = Nexlet(nats, node_id, agent_id)
    welcome = nexlet.register()
    given = welcome["connection_data"]
    if given["nats_servers"] or given["nats_user_name"]:
        servers = ",".join(given["nats_servers"] or []) or servers
        nats.close()
        nexlet.nats = Nats(first(servers), given["nats_user_name"] or login[0], given["nats_user_password"] or login[1])
    nexlet.serve(welcome["existing_state"])
    print(f"echo-nexlet {agent_id} serves node {node_id}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    nexlet.end()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
