"""ARI operations on playbacks and recordings of the simulated Asterisk."""

from ari_proxy.ari.client import Answer

from .media import Media
from .model import SimulatedRecording
from .requests import NO_CONTENT, Request, Route, shown


class MediaRoutes:
    """`/playbacks`, `/recordings`, and the play and record operations of channels and bridges."""

    def __init__(self, media: Media) -> None:
        self._media = media

    def routes(self) -> list[Route]:
        """Return method, path and handler of each operation."""
        live, stored = "/recordings/live/{recording}", "/recordings/stored/{recording}"
        targets = ("/channels/{channel}", "/bridges/{bridge}")
        return [
            *(("POST", target + "/play", self._play) for target in targets),
            *(("POST", target + "/play/{playback}", self._play) for target in targets),
            *(("POST", target + "/record", self._record) for target in targets),
            ("GET", "/playbacks/{playback}", self._get_playback),
            ("DELETE", "/playbacks/{playback}", self._stop_playback),
            ("POST", "/playbacks/{playback}/control", self._control_playback),
            ("GET", live, self._get_recording),
            ("DELETE", live, self._cancel_recording),
            ("POST", live + "/stop", self._stop_recording),
            *(("POST", f"{live}/{name}", self._accept_for_recording) for name in ("pause", "mute")),
            *(
                ("DELETE", f"{live}/{name}", self._accept_for_recording)
                for name in ("pause", "mute")
            ),
            ("GET", "/recordings/stored", self._list_stored),
            ("GET", stored, self._get_stored),
            ("DELETE", stored, self._delete_stored),
            ("POST", stored + "/copy", self._copy_stored),
        ]

    async def _play(self, request: Request) -> Answer:
        name = request.names.get("playback", "")
        playback = self._media.play(request.target, name, request.parameters)
        return shown(playback.as_json(), status=201)

    async def _get_playback(self, request: Request) -> Answer:
        return shown(self._media.playback(request.names["playback"]).as_json())

    async def _stop_playback(self, request: Request) -> Answer:
        await self._media.control_playback(request.names["playback"], "stop")
        return NO_CONTENT

    async def _control_playback(self, request: Request) -> Answer:
        operation = request.parameters.get("operation", "")
        await self._media.control_playback(request.names["playback"], operation)
        return NO_CONTENT

    async def _record(self, request: Request) -> Answer:
        recording = self._media.record(request.target, request.parameters)
        return shown(recording.as_json(), status=201)

    async def _get_recording(self, request: Request) -> Answer:
        return shown(self._media.recording(request.names["recording"]).as_json())

    async def _stop_recording(self, request: Request) -> Answer:
        await self._media.stop_recording(request.names["recording"])
        return NO_CONTENT

    async def _cancel_recording(self, request: Request) -> Answer:
        await self._media.cancel_recording(request.names["recording"])
        return NO_CONTENT

    async def _accept_for_recording(self, request: Request) -> Answer:
        self._media.recording(request.names["recording"])
        return NO_CONTENT

    async def _list_stored(self, _: Request) -> Answer:
        return shown([recording.as_stored() for recording in self._media.stored.values()])

    async def _get_stored(self, request: Request) -> Answer:
        recording = self._media.stored_recording(request.names["recording"])
        return shown(recording.as_stored())

    async def _delete_stored(self, request: Request) -> Answer:
        del self._media.stored[self._media.stored_recording(request.names["recording"]).name]
        return NO_CONTENT

    async def _copy_stored(self, request: Request) -> Answer:
        original = self._media.stored_recording(request.names["recording"])
        name = request.parameters.get("destinationRecordingName", "")
        copy = SimulatedRecording(
            name=name, target="", app="", format=original.format, state="done"
        )
        self._media.stored[name] = copy
        return shown(copy.as_stored())
