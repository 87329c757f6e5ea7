"""Thunderbird as a person uses it: gets an address, its password and nothing
else, finds the settings, tries them, makes the account. It is driven through
Marionette (the protocol: LENGTH:[0, id, command, parameters]) with the very
functions that its dialogue calls. Argument: the folder of .ci/clients."""

import json
import socket
import sys
import time

WORK = sys.argv[1]


class Marionette:
    def __init__(self, port):
        deadline = time.monotonic() + 120
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", port), timeout=180)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self.rest, self.number = b"", 0
        self.receive()

    def receive(self):
        while b":" not in self.rest:
            self.more()
        size, _, self.rest = self.rest.partition(b":")
        while len(self.rest) < int(size):
            self.more()
        text, self.rest = self.rest[: int(size)], self.rest[int(size) :]
        return json.loads(text)

    def more(self):
        piece = self.sock.recv(65536)
        if not piece:
            sys.exit("Thunderbird closed the connection")
        self.rest += piece

    def do(self, name, **parameters):
        self.number += 1
        text = json.dumps([0, self.number, name, parameters]).encode()
        self.sock.sendall(str(len(text)).encode() + b":" + text)
        _, _, error, value = self.receive()
        if error:
            sys.exit(f"{name}: {error.get('error')}: {error.get('message')}")
        return value

    def script(self, body, *args):
        code = (
            "const args = arguments, done = arguments[arguments.length - 1];"
            "(async () => {" + body + "})().then(v => done({ok: v}), e => done({failed: String(e) + ' ' + (e.errors || '')}));"
        )
        value = self.do("WebDriver:ExecuteAsyncScript", script=code, args=list(args))["value"]
        if "failed" in value:
            sys.exit(value["failed"])
        return value["ok"]


TRUST = 'Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(args[0], "C,,");'

SET_UP = """
const load = name => ChromeUtils.importESModule("resource:///modules/" + name + ".sys.mjs");
const { FindConfig } = load("accountcreation/FindConfig");
const { AccountConfig } = load("accountcreation/AccountConfig");
const { ConfigVerifier } = load("accountcreation/ConfigVerifier");
const { CreateInBackend } = load("accountcreation/CreateInBackend");
const { MailServices } = load("MailServices");
const [address, password] = args, signal = new AbortController().signal;
const search = FindConfig.parallelAutoDiscovery(address.split("@")[1], address, signal, password);
let step = await search.next();
while (!step.done) step = await search.next({ acceptRedirect: false });
const found = step.value;
if (!found) throw new Error("found nothing");
const servers = list => list.map(s => [s.type, s.hostname, s.port]);
const all = {
  incoming: servers([found.incoming, ...found.incomingAlternatives]),
  outgoing: servers([found.outgoing, ...found.outgoingAlternatives]),
};
AccountConfig.replaceVariables(found, "Alice Liddell", address, password);
found.rememberPassword = true;
const win = Services.wm.getMostRecentWindow("mail:3pane") || Services.wm.getMostRecentWindow(null);
const good = await new ConfigVerifier(win.msgWindow, signal).verifyConfig(found);
const account = await CreateInBackend.createAccountInBackend(good);
const server = account.incomingServer, out = MailServices.outgoingServer.servers[0];
out.password = password;
out.verifyLogon({ OnStartRunningUrl() {}, OnStopRunningUrl() {}, QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]) }, win.msgWindow);
return { ...all, account: [server.username, server.hostname ?? server.hostName, server.port], sends: out.serverURI.spec };
"""


def logins_to_send():
    with open(WORK + "/log", encoding="utf-8") as log:
        return sum("235 2.7.0" in line for line in log)


def main():
    before = logins_to_send()
    driver = Marionette(2828)
    driver.do("WebDriver:NewSession", capabilities={})
    driver.do("Marionette:SetContext", value="chrome")
    driver.do("WebDriver:SetTimeouts", script=120000)
    with open(WORK + "/ca.pem", encoding="ascii") as ca, open(WORK + "/password", encoding="utf-8") as password:
        driver.script(TRUST, "".join(line.strip() for line in ca if "-----" not in line))
        got = driver.script(SET_UP, "alice@example.org", password.read().strip())
    print(json.dumps(got, indent=1))
    assert got["incoming"] == [["imap", "mail.example.org", 993], ["imap", "mail.example.org", 143]], got
    assert got["outgoing"] == [["smtp", "mail.example.org", 465], ["smtp", "mail.example.org", 587]], got
    assert got["account"] == ["alice@example.org", "mail.example.org", 993], got
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # the login to send goes on by itself
        if logins_to_send() > before:
            return
        time.sleep(0.2)
    sys.exit("no login to send")


main()
