"""Servers with TLS of their own, and behind the nginx of the guide: WebSockets, streams both ways, whose requests."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import json
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.conftest import Cli
from tests.serving import RUNS, Server, serving
from websockets.sync.client import connect

import ostinato

GUIDE = Path(__file__).parents[2] / "docs/guides/serving.md"
LM = f"lm={RUNS / 'language_model_characters'}"
TEXT = "a seal ran. the owl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a certificate of this machine and its key."""
    found = tmp_path_factory.mktemp("tls")
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    signed = built.add_extension(names, critical=False).sign(key, hashes.SHA256())
    (found / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (found / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return found


def _trusted(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "certificate.pem")


def test_a_server_with_a_certificate(folder: Path) -> None:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    with serving([LM, "--tls-certificate", str(certificate), "--tls-key", str(key)]) as server:
        assert server.url.startswith("https://")
        with ostinato.Client(server.url, certificate=certificate) as client:
            session = client.session("lm")
            assert session.step(TEXT)["answers"] == client.score("lm", TEXT)
            said = list(session.stream(20, seed=1))
            assert len(said) == 20
        with connect(f"wss{server.url[5:]}/v1/stream", ssl=_trusted(folder)) as stream:
            stream.send(json.dumps({"op": "create", "model": "lm"}))
            assert json.loads(stream.recv())["status"] == 200
        with ostinato.Client(server.url) as client, pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            client.models()


def test_certificates_that_are_none(cli: Cli, folder: Path) -> None:
    run, other = str(RUNS / "language_model_characters"), folder / "other.pem"
    other.write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    for words, says in (
        (["--tls-key", folder / "key.pem"], "only apply together"),
        (["--tls-certificate", other, "--tls-key", folder / "key.pem"], "must be files of PEM that belong together"),
        (["--tls-certificate", folder / "no", "--tls-key", folder / "key.pem"], "No such file or directory"),
        (["--trusted-proxy", "proxy.example"], "must be an address or a network. Received: proxy.example"),
    ):
        found = cli("serve", run, "--port", 0, *words)
        assert found.code == 1
        assert says in " ".join(found.err.split())


@contextmanager
def _nginx(folder: Path, ports: list[int]) -> Iterator[int]:
    """The example of the guide, at a free port and in front of these; what is machine's own is another folder."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).is_file():
        pytest.skip("nginx is not installed (apt-get install nginx)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = re.search(r"```nginx\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    example = found[1].replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace("/etc/ssl/", f"{folder}/")
    for was, now in zip((8001, 8002), ports, strict=True):
        example = example.replace(f"127.0.0.1:{was}", f"127.0.0.1:{now}")
    places = "".join(f"{one}_temp_path {folder}/{one};" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; {places}\n{example}}}\n"
    )
    process = subprocess.Popen(
        [program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with socket.socket() as trying:
                if not trying.connect_ex(("127.0.0.1", port)):
                    break
            assert process.poll() is None, "nginx does not take the example"
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving([LM, "--trusted-proxy", "127.0.0.1", "--requests-per-second", "1"]) as found:
        yield found


@pytest.fixture(scope="module")
def proxy(folder: Path, server: Server) -> Iterator[int]:
    port = int(server.url.rpartition(":")[2])
    with _nginx(folder, [port, port]) as found:
        yield found


def _ask(port: int, folder: Path, source: str, path: str = "/v1/models/lm", **headers: str) -> int:
    """The status of a request from an address of this machine."""
    one = http.client.HTTPSConnection(
        "127.0.0.1", port, context=_trusted(folder), source_address=(source, 0), timeout=30
    )
    one.request("GET", path, headers={"connection": "close", **headers})
    status = one.getresponse().status
    one.close()
    return status


def test_sessions_sockets_and_events_through_nginx(proxy: int, folder: Path) -> None:
    with ostinato.Client(f"https://127.0.0.1:{proxy}", certificate=folder / "certificate.pem") as client:
        session = client.session("lm")
        cold = client.score("lm", TEXT)
        assert session.step(TEXT)["answers"] == cold
        assert len(list(session.stream(50, seed=1))) == 50
    with connect(f"wss://127.0.0.1:{proxy}/v1/stream", ssl=_trusted(folder)) as stream:
        stream.send(json.dumps({"op": "create", "model": "lm"}))
        id = json.loads(stream.recv())["result"]["session"]
        stream.send(json.dumps([{"op": "step", "model": "lm", "session": id, "inputs": one} for one in TEXT]))
        assert [one["result"]["answers"][0] for one in json.loads(stream.recv())] == cold
    assert _ask(proxy, folder, "127.0.0.1", "/metrics") == 403
    assert _ask(proxy, folder, "127.0.0.1", "/ready") == 200


def test_lines_come_and_go_at_once(folder: Path) -> None:
    """The first line is answered while the client still holds back the second."""
    with serving([f"films={RUNS / 'classifier_text'}"]) as films:
        port = int(films.url.rpartition(":")[2])
        with _nginx(folder, [port, port]) as proxy:
            _first_line_first(proxy, folder)


def _first_line_first(proxy: int, folder: Path) -> None:
    head = (
        b"POST /v1/models/films/predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-ndjson\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", proxy), 30) as plain,
        _trusted(folder).wrap_socket(plain, server_hostname="127.0.0.1") as stream,
    ):
        stream.sendall(head + _chunk(b'"a fine film"\n'))
        said = b""
        while b'"label"' not in said:
            said += stream.recv(4096)
        assert b"200 OK" in said
        stream.sendall(_chunk(b'"a bad one"\n') + b"0\r\n\r\n")
        while said.count(b'"label"') < 2:
            said += stream.recv(4096)


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_requests_are_counted_by_where_they_come_from(proxy: int, folder: Path, server: Server) -> None:
    """Ten at once from one address, and the other has ten of its own, whatever it claims."""
    for source, claims in (("127.0.0.2", "9.9.9.{}"), ("127.0.0.3", "127.0.0.2")):
        found = [_ask(proxy, folder, source, **{"x-forwarded-for": claims.format(n)}) for n in range(24)]
        assert found[:10] == [200] * 10
        assert 429 in found[10:]


def test_who_is_no_trusted_proxy_is_not_believed() -> None:
    with serving([LM, "--requests-per-second", "1", "--trusted-proxy", "127.0.0.77"]) as server:
        port = int(server.url.rpartition(":")[2])

        def ask(n: int) -> int:
            one = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            one.request("GET", "/v1/models/lm", headers={"x-forwarded-for": f"9.9.9.{n}", "connection": "close"})
            status = one.getresponse().status
            one.close()
            return status

        found: list[Any] = [ask(n) for n in range(24)]
    assert found[:10] == [200] * 10
    assert 429 in found[10:]
