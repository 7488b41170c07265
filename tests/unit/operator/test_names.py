"""Names of the objects that the operator creates."""

from ari_proxy.operator import names


def test_server_name_fits_a_label_and_is_unique() -> None:
    one, other = names.server_name("a" * 40 + "-1"), names.server_name("a" * 40 + "-2")

    assert one != other
    assert len(one) == len(other) == 30
    assert names.server_name("asterisk.example-0") == "asterisk-example-0"


def test_selector_is_part_of_the_labels() -> None:
    selector = names.selector("minimal", "ingest", "a")

    assert selector.items() <= names.labels("minimal", "ingest", "a").items()


def test_labels_of_shared_objects_name_no_server() -> None:
    assert names.SERVER not in names.labels("minimal", "ingest")
    assert names.COMPONENT not in names.labels("minimal")


def test_digest_depends_on_the_value_alone() -> None:
    assert names.digest("a") == names.digest("a") != names.digest("b")
    assert len(names.digest("a" * 1000)) == 16
