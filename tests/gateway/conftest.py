import pytest
from tests.gateway.two_paths import Bench, made_request, talk, wait_until

from farero.endpoints.replicas import ping


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("f")
    names = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}
    with pytest.MonkeyPatch.context() as patch:
        for name, file in names.items():
            patch.setenv(name, str(folder / file))
        made = Bench(folder)
        try:
            for name in "ab":
                wait_until(lambda name=name: ping(str(folder / f"{name}.sock")) == 200)
            for port in made.ports * 2:  # both hops are open
                for variant in "ab":
                    headers = {"X-Amzn-SageMaker-Target-Variant": variant}
                    talk(port, made_request(made, b"name", headers))
            yield made
        finally:
            made.close()
