"""A dialog as SVG."""

from xml.etree import ElementTree as ET

from ari_proxy.watch.render import svg
from ari_proxy.watch.render.steps import step_of
from tests.support.tap_records import CALL, DIALOG, copy_of, event


def test_ladder_as_svg_is_xml_with_every_step() -> None:
    hostile = event("X", 2, eventname="<script>alert(1)</script>&")
    drawn = svg.draw(DIALOG, list(map(step_of, [*CALL, hostile])))
    texts = [node.text or "" for node in ET.fromstring(drawn).iter() if node.text]  # noqa: S314  our own
    assert "1 StasisStart" in texts
    assert any("<script>" in text for text in texts)
    assert "<script>" not in drawn


def test_refused_command_is_drawn_as_a_failure() -> None:
    refused = copy_of("response", status_code=404, response_body="")
    drawn = svg.draw(DIALOG, [step_of(refused)])

    assert 'class="arrow answer failed"' in drawn


def test_drawing_of_nothing_is_xml() -> None:
    assert ET.fromstring(svg.draw("<dialog>", [])).tag.endswith("svg")  # noqa: S314  our own
