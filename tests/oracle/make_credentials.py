"""Makes the tokens, keys and certificates that built-ins are compared with. They are kept in credentials.json and protect nothing.

usage: make_credentials.py PARTS    (needs openssl, and the OPA library of tests/setup/oracle, which signs)
"""
import base64
import json
import pathlib
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(pathlib.Path(sys.argv[1]) / "opa-1.20"))
from opa_bindings import OpaEngine  # noqa: E402

folder = pathlib.Path(tempfile.mkdtemp())
FAR = 4102444800  # 2100-01-01


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, input=given).stdout


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def public(name):
    return openssl("pkey", "-in", f"{name}.pem", "-pubout").decode()


def ec_jwk(name, curve, size):
    text = openssl("ec", "-in", f"{name}.pem", "-text", "-noout").decode()
    part = lambda start, end: bytes.fromhex("".join(text.split(start)[1].split(end)[0].replace(":", "").split()))
    private, point = part("priv:", "pub:"), part("pub:", "ASN1")
    return {"kty": "EC", "crv": curve, "x": b64(point[1:1 + size]), "y": b64(point[1 + size:]), "d": b64(private[-size:].rjust(size, b"\0"))}


openssl("genrsa", "-out", "rsa.pem", "2048")
openssl("genrsa", "-out", "other.pem", "2048")
openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "p256.pem")
openssl("ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "p384.pem")
openssl("genpkey", "-algorithm", "ed25519", "-out", "ed.pem")
openssl("req", "-x509", "-key", "rsa.pem", "-subj", "/CN=Example Root/O=Example", "-days", "27000", "-out", "root.crt")
openssl("req", "-new", "-key", "p256.pem", "-subj", "/CN=leaf.example", "-addext", "subjectAltName=DNS:leaf.example,IP:192.0.2.1,URI:spiffe://example/leaf", "-out", "leaf.csr")
openssl("x509", "-req", "-in", "leaf.csr", "-CA", "root.crt", "-CAkey", "rsa.pem", "-days", "26000", "-copy_extensions", "copy", "-set_serial", "77", "-out", "leaf.crt")
openssl("req", "-x509", "-key", "p256.pem", "-subj", "/CN=selfsigned.example", "-days", "27000", "-out", "self.crt")
read = lambda name: (folder / name).read_text()

engine = OpaEngine()
engine.add_policy("s.rego", "package s\nsigned := io.jwt.encode_sign(input.header, input.claims, input.key)\nrsa := crypto.x509.parse_rsa_private_key(input.pem)\n")
rsa = engine.eval_document("s.rsa", {"pem": read("rsa.pem")})
secret = {"kty": "oct", "k": b64(b"secret-secret-secret-secret-secret")}
keys = {"RS256": rsa, "PS256": rsa, "RS384": rsa, "ES256": ec_jwk("p256", "P-256", 32), "ES384": ec_jwk("p384", "P-384", 48), "HS256": secret, "HS512": secret}


def token(alg, claims, **header):
    return engine.eval_document("s.signed", {"header": {"alg": alg, "typ": "JWT", **header}, "claims": claims, "key": keys[alg]})


def unsigned(header, claims, signature=""):
    return ".".join([b64(header.encode()), b64(claims.encode()), signature])


claims = {"iss": "https://issuer.example", "aud": "api", "sub": "alice", "exp": FAR, "nbf": 1, "iat": 1}
tokens = [token(alg, claims) for alg in keys]
good = tokens[0]
tokens += [
    token("RS256", {**claims, "exp": 1}),
    token("RS256", {**claims, "nbf": FAR}),
    token("RS256", {**claims, "aud": ["api", "other"]}),
    token("RS256", {key: claims[key] for key in ("iss", "sub")}),
    token("RS256", {**claims, "exp": "4102444800"}),
    token("RS256", {**claims, "exp": 4102444800.5}),
    token("RS256", claims, kid="one"),
    token("RS256", claims, kid="two"),
    token("HS256", {}),
    good[:-3] + "AAA",
    good + "=",
    good.rsplit(".", 1)[0] + ".",
    "", "a", "a.b", "a.b.c", "....", good + ".x",
    unsigned('{"alg":"none"}', '{"sub":"alice"}'),
    unsigned('{"alg":"none"}', '{"sub":"alice"}', "AA"),
    unsigned('{"alg":"RS256","crit":["x"]}', "{}", "AA"),
    unsigned('{"alg":"RS256","alg":"HS256"}', '{"a":1,"a":2}', "AA"),
    unsigned("[]", "{}", "AA"), unsigned("{}", "[]", "AA"), unsigned('{"alg":"HS256"}', "text", "AA"),
    unsigned('{"alg":"RS256","enc":"A128GCM"}', "{}", "AA"),
    unsigned('{"cty":"JWT","alg":"HS256"}', good, "AA"),
    unsigned('{"alg":"ES256","typ":"JWT"}', json.dumps(claims), b64(b"\0" * 64)),
]
published = lambda key, **more: {name: value for name, value in key.items() if name not in ("d", "p", "q", "dp", "dq", "qi")} | more
sets = [
    {"keys": [published(rsa)]},
    {"keys": [published(rsa, kid="one", alg="RS256", use="sig")]},
    {"keys": [published(rsa, kid="one", use="enc"), published(keys["ES256"], kid="two")]},
    {"keys": [published(keys["ES256"]), published(keys["ES384"])]},
    {"keys": [{"kty": "oct", "k": secret["k"]}]},
    {"keys": []}, {"keys": [{"kty": "XX"}]},
    published(rsa),
]
verifying = [public("rsa"), read("root.crt"), public("other"), public("p256"), read("self.crt"), public("p384"), public("ed"), *map(json.dumps, sets), "", "x", read("rsa.pem")]
secrets = ["secret-secret-secret-secret-secret", "other", "", "é", secret["k"]]
constraints = [
    {"cert": public("rsa")}, {"cert": public("rsa"), "aud": "api"}, {"cert": public("rsa"), "aud": "other"}, {"cert": public("rsa"), "aud": "api", "iss": "https://issuer.example"},
    {"cert": public("rsa"), "aud": "api", "iss": "other"}, {"cert": public("rsa"), "aud": "api", "alg": "RS256"}, {"cert": public("rsa"), "aud": "api", "alg": "PS256"}, {"cert": public("rsa"), "aud": "api", "time": 5},
    {"cert": public("rsa"), "aud": "api", "time": 1}, {"cert": public("rsa"), "aud": "api", "time": FAR * 1000000000}, {"cert": public("rsa"), "aud": "api", "time": 1000000000.5}, {"cert": json.dumps(sets[0]), "aud": "api"},
    {"cert": json.dumps(sets[1]), "aud": "api"}, {"cert": json.dumps(sets[2]), "aud": "api"}, {"cert": public("p256"), "aud": "api"}, {"secret": secrets[0], "aud": "api"}, {"secret": secrets[0]}, {"secret": "other", "aud": "api"},
    {"cert": public("rsa"), "secret": secrets[0]}, {}, {"aud": "api"}, {"cert": public("rsa"), "unknown": 1}, {"cert": "x"}, {"cert": 1}, {"cert": public("rsa"), "aud": ["api"]}, {"cert": public("rsa"), "time": "1"}, {"cert": public("rsa"), "aud": "api", "nonce": "n"},
]
der = lambda name: openssl("x509", "-in", name, "-outform", "der")
plain64 = lambda data: base64.b64encode(data).decode()
certificates = [
    read("root.crt"), read("leaf.crt"), read("leaf.crt") + read("root.crt"), read("root.crt") + read("leaf.crt"), read("self.crt"), plain64(der("leaf.crt")), plain64(der("root.crt") + der("leaf.crt")), plain64((read("root.crt") + read("leaf.crt")).encode()),
    "", "x", plain64(b"x"), public("rsa"), read("leaf.crt") + read("self.crt"), read("leaf.crt") + "trailing",
]
options = [
    {}, {"DNSName": "leaf.example"}, {"DNSName": "other.example"}, {"CurrentTime": 1}, {"CurrentTime": FAR * 1000000000}, {"KeyUsages": ["KeyUsageServerAuth"]}, {"KeyUsages": ["KeyUsageAny"]}, {"KeyUsages": ["KeyUsageClientAuth"]}, {"KeyUsages": ["x"]},
    {"MaxConstraintComparisons": 5}, {"unknown": 1}, {"DNSName": 1},
]
private = [read("rsa.pem"), read("p256.pem"), read("p384.pem"), read("ed.pem"), openssl("rsa", "-in", "rsa.pem", "-traditional").decode(), read("rsa.pem") + read("p256.pem"), plain64(read("rsa.pem").encode()), "", "x", public("rsa"), read("leaf.crt")]
requests = [read("leaf.csr"), plain64(read("leaf.csr").encode()), plain64(openssl("req", "-in", "leaf.csr", "-outform", "der")), "", "x", read("leaf.crt")]
signing = [keys["HS256"], keys["RS256"], {"kty": "oct", "k": ""}, {"kty": "oct"}, {}, published(rsa), {"kty": "XX"}]
headers = [{"alg": "HS256"}, {"alg": "HS256", "typ": "JWT"}, {"typ": "JWT", "alg": "HS512", "kid": "a"}, {"alg": "RS256"}, {"alg": "none"}, {}, {"alg": "XX"}, {"alg": "HS256", "typ": "text/plain"}, {"alg": 1}]
known = {name: value for name, value in globals().items() if name in ("tokens", "verifying", "secrets", "constraints", "certificates", "options", "private", "requests", "signing", "headers")}
(here / "credentials.json").write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
