"""No spelling of an address, and no name server, leads a notification into this machine or its network (R11)."""

import errno
import socket
import threading

import pytest

from farero.base.clock import SystemClock
from farero.base.errors import Invalid
from farero.notify.guard import Guard, Refused, parse_url
from farero.notify.http import Poster


def listeners():
    """Return servers of the same port on the loopback addresses of IPv4 and IPv6."""
    while True:
        first = socket.create_server(("127.0.0.1", 0))
        if not socket.has_ipv6:
            return [first]
        port = first.getsockname()[1]
        try:
            return [first, socket.create_server(("::1", port), family=socket.AF_INET6)]
        except OSError as error:
            first.close()
            if error.errno != errno.EADDRINUSE:  # by somebody whom the first does not see
                raise


class Trap:
    """Counts connections to the loopback address, IPv4 and IPv6."""

    def __init__(self):
        self.count = 0
        self.sockets = listeners()
        self.port = self.sockets[0].getsockname()[1]
        self.threads = [threading.Thread(target=self.listen, args=(s,)) for s in self.sockets]
        for thread in self.threads:
            thread.start()

    def listen(self, server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            self.count += 1
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            connection.close()

    def close(self):
        for server in self.sockets:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def trap():
    made = Trap()
    yield made
    made.close()


def post(guard, url):
    return Poster(guard, SystemClock(), total_s=60).post(parse_url(url), {}, b"x")


INSIDE = [
    "127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433",
    "017700000001", "127.0.0.1.", "localhost", "LOCALHOST", "localhost.", "a.localhost", "0", "0.0.0.0", "0x0",
    "10.0.0.1", "10.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "192.168.257", "3232235777", "0xc0a80101",
    "169.254.169.254", "169.254.170.2", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "100.64.0.1",
    "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2002:a00:1::]",
    "[2001:0:0:0:0:0:80ff:fffe]", "[fe80::1]", "[fe80::1%25lo]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]",
    "[ff02::1]", "[2001:db8::1]", "[100::1]", "[::ffff:0:127.0.0.1]", "\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1", "\u24dbocalhost",
    "127\u30020\u30020\u30021",
]  # fmt: skip


@pytest.mark.parametrize("host", INSIDE)
def test_no_spelling_of_an_inner_address_is_reached(trap, host):
    with pytest.raises((Invalid, OSError)):
        post(Guard(), f"http://{host}:{trap.port}/")

    assert trap.count == 0


def test_there_are_sixty_forms_at_least():
    assert len(set(INSIDE)) >= 60


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pw@127.0.0.1:{port}/", "http://example.com@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}#@example.com/", "http://127.0.0.1:{port}?@example.com/",
        "http://example.com\\@127.0.0.1:{port}/", "http://127.0.0.1\\.example.com:{port}/",
        "http:127.0.0.1:{port}", "http:///127.0.0.1:{port}/", "http://[::1]:{port}.example.com/", "//127.0.0.1:{port}/",
        "gopher://127.0.0.1:{port}/", "file:///etc/passwd", "http://127.0.0.1:{port}\r\nHost: x/", "http://127.0.0.1 :{port}/",
        "http://127.0.0.1%00.example.com:{port}/", "http://127.0.0.1\t:{port}/", "http://:{port}/", "http://[127.0.0.1]:{port}/",
        "http://127.0.0.1:{port}:80/", "http://127.0.0.1:0{port}/", "HTTP://127.0.0.1:{port}/", "http://%31%32%37.0.0.1:{port}/",
    ],
)  # fmt: skip
def test_no_spelling_of_a_url_is_reached(trap, url):
    with pytest.raises((Invalid, OSError)):
        post(Guard(), url.format(port=trap.port))

    assert trap.count == 0


class Rebinding:
    """A name server that answers with a public address first, and with ours ever after."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, _host, port):
        self.asked += 1
        found = self.answers[min(self.asked, len(self.answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


def test_a_name_that_changes_its_address_is_looked_up_once(trap):
    resolver = Rebinding(["203.0.114.7"], ["127.0.0.1"])
    guard = Guard(resolve=resolver)

    found = guard.find_addresses("rebind.example", trap.port)

    assert (found, resolver.asked) == ([(socket.AF_INET, ("203.0.114.7", trap.port))], 1)


def test_a_name_that_rebinds_is_refused_by_its_next_address(trap):
    guard = Guard(resolve=Rebinding(["127.0.0.1"]))

    with pytest.raises(Refused):
        post(guard, f"http://rebind.example:{trap.port}/")

    assert trap.count == 0


def test_a_name_with_one_inner_address_among_others_is_refused(trap):
    guard = Guard(resolve=Rebinding(["93.184.216.34", "127.0.0.1"]))

    with pytest.raises(Refused):
        post(guard, f"http://mixed.example:{trap.port}/")

    assert trap.count == 0


@pytest.mark.parametrize("named", ["127.0.0.1", "other, 127.0.0.1:{port}"])
def test_a_named_host_is_reached(trap, named):
    answer = post(Guard(named.format(port=trap.port)), f"http://127.0.0.1:{trap.port}/")

    assert (answer.status, trap.count) == (200, 1)


def test_a_host_named_with_a_port_opens_no_other_port(trap):
    with pytest.raises(Refused):
        post(Guard("127.0.0.1:1"), f"http://127.0.0.1:{trap.port}/")

    assert trap.count == 0


def test_a_named_host_opens_no_other_spelling(trap):
    with pytest.raises(Refused):
        post(Guard("127.0.0.1"), f"http://127.1:{trap.port}/")

    assert trap.count == 0


def test_our_own_ports_are_closed_even_on_a_named_host(trap):
    with pytest.raises(Refused, match="Farero itself"):
        post(Guard("127.0.0.1", [trap.port]), f"http://127.0.0.1:{trap.port}/")

    assert trap.count == 0


def test_a_named_host_does_not_lead_to_where_clouds_keep_credentials():
    guard = Guard("metadata.example", resolve=Rebinding(["169.254.169.254"]))

    with pytest.raises(Refused):
        guard.find_addresses("metadata.example", 80)


def test_the_refusal_says_what_to_do():
    with pytest.raises(Refused, match=r"FARERO_NOTIFY_ALLOW_HOSTS=hook\.lan:8080"):
        Guard(resolve=Rebinding(["10.0.0.5"])).find_addresses("hook.lan", 8080)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "1.1.1.1"])
def test_public_addresses_are_open(address):
    assert Guard(resolve=Rebinding([address])).find_addresses("x.example", 443)


def test_a_url_is_taken_apart():
    place = parse_url("https://us%40er:p%3Aw@Example.COM:8443/a/b?c=d")

    assert (place.scheme, place.host, place.port) == ("https", "example.com", 8443)
    assert (place.target, place.login, place.authority) == (
        "/a/b?c=d",
        "us@er:p:w",
        "example.com:8443",
    )


def test_a_receiver_that_drips_is_left_after_the_deadline():
    server = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip():
        connection, _ = server.accept()
        connection.settimeout(1)
        with connection:
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(TimeoutError):
            Poster(Guard("127.0.0.1"), SystemClock(), total_s=0.5).post(
                parse_url(f"http://127.0.0.1:{server.getsockname()[1]}/"), {}, b"x"
            )
    finally:
        stop.set()
        thread.join()
        server.close()
