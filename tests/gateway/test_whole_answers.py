"""Head and body of an answer leave together: a caller never holds the head alone."""

import socket


def test_the_first_bytes_of_an_answer_are_all_of_it(shared_platform):
    asked = b"GET /_farero/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", shared_platform.port), timeout=15) as connection:
        for _ in range(200):
            connection.sendall(asked)
            head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
            (length,) = (
                int(line.split(b":")[1])
                for line in head.splitlines()
                if line.startswith(b"content-length")
            )
            assert len(body) == length > 0


def test_an_answer_without_a_body_and_one_in_pieces_arrive(shared_platform):
    s3 = shared_platform.client("s3")
    content = bytes(range(256)) * 4096
    s3.put_object(Bucket=shared_platform.bucket, Key="whole/answers", Body=content)

    assert s3.head_object(Bucket=shared_platform.bucket, Key="whole/answers")["ContentLength"] == (
        len(content)
    )
    got = s3.get_object(Bucket=shared_platform.bucket, Key="whole/answers")["Body"].read()
    assert got == content
