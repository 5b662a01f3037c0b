"""An HTTP receiver for alerts, of the standard library alone. Each request becomes one file of JSON in FOLDER.

receiver.py FOLDER PORT [CERTIFICATE.pem]

/hook      201, and says whether the signature is right (key: s3cret-hook)
/nrdp/     what NRDP answers to a form with the token s3cret-nrdp
/gone      302 to /hook
/broken    503
/slow      201 after a second
/hang      takes the request and says nothing for a minute
"""

import hashlib
import hmac
import json
import os
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

FOLDER = sys.argv[1]
LOCK = threading.Lock()
COUNT = 0


class Receiver(BaseHTTPRequestHandler):
    def do_GET(self):
        self.keep(b"")
        self.answer(200, b"heard")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.keep(body)
        if self.path == "/hang":
            time.sleep(60)
        elif self.path == "/slow":
            time.sleep(1)
            self.answer(201, b"")
        elif self.path == "/gone":
            self.send_response(302)
            self.send_header("Location", "/hook")
            self.end_headers()
        elif self.path == "/broken":
            self.answer(503, b"later")
        elif self.path == "/nrdp/":
            token = parse_qs(body.decode()).get("token") == ["s3cret-nrdp"]
            result = {"status": 0, "message": "OK"} if token else {"status": -1, "message": "BAD TOKEN"}
            self.answer(200, json.dumps({"result": result}).encode())
        else:
            self.answer(201, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except BrokenPipeError:
            pass  # Whoever asked was killed meanwhile.

    def keep(self, body):
        global COUNT
        stamp = self.headers.get("X-Vigie-Timestamp", "")
        signed = "v1=" + hmac.new(b"s3cret-hook", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        request = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode(),
            "signature_is_right": hmac.compare_digest(signed, self.headers.get("X-Vigie-Signature", "")),
            "age": time.time() - int(stamp or 0),
        }
        with LOCK:
            COUNT += 1
            name = os.path.join(FOLDER, "%04d" % COUNT)
            with open(name + ".part", "w") as file:
                json.dump(request, file)
            os.rename(name + ".part", name + ".json")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Receiver)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
