"""A headless Chromium of this machine, driven by the DevTools protocol over a pipe: one process for all pages."""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Debian's name, and those of other systems.
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# As root it has no sandbox of its own; what it opens here are the project's own pages.
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
# Where it listens to us and speaks to us, once --remote-debugging-pipe is given.
LISTENS, SPEAKS = 3, 4
# In a page of its own: how many of the pixels of two pictures differ by more than a shade; -1 if their sizes do.
DIFFERENCE = """async (first, second, shade) => {
  const load = async (data) => createImageBitmap(await (await fetch('data:image/png;base64,' + data)).blob());
  const [a, b] = [await load(first), await load(second)];
  if (a.width !== b.width || Math.abs(a.height - b.height) > 0.02 * a.height) return -1;
  const height = Math.min(a.height, b.height);
  const pixels = (image) => {
    const context = new OffscreenCanvas(image.width, height).getContext('2d', {willReadFrequently: true});
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.width, height).data;
  };
  const [x, y] = [pixels(a), pixels(b)];
  let count = 0;
  for (let i = 0; i < x.length; i += 4)
    if (Math.abs(x[i] - y[i]) + Math.abs(x[i+1] - y[i+1]) + Math.abs(x[i+2] - y[i+2]) > shade) count++;
  return count / (x.length / 4);
}"""


def find_chromium() -> str:
    """Return the path of this machine's Chromium, empty if it has none."""
    return next((path for name in NAMES if (path := shutil.which(name))), "")


@dataclass
class Browser:
    """One page in a running Chromium; ``told`` is what it complained about since the page was opened.

    ``words`` is a file with what Chromium says of itself.
    """

    to: Any
    out: Any
    words: Path
    session: str = ""
    told: list[str] = field(default_factory=list)
    loaded: bool = False
    count: int = 0

    def call(self, method: str, **parameters: Any) -> Any:
        """Send a command, and return its result."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        self.to.write(json.dumps({**message, **({"sessionId": self.session} if self.session else {})}).encode() + b"\0")
        self.to.flush()
        while (answer := self._hear()).get("id") != self.count:
            pass
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _hear(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self.out.read(1)) != b"\0":
            if not byte:
                raise AssertionError(f"Chromium has ended: {self.words.read_text(errors='replace')[-2000:]}")
            text += byte
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, told: dict[str, Any]) -> None:
        match method:
            case "Page.loadEventFired":
                self.loaded = True
            case "Runtime.exceptionThrown":
                self.told.append(f"exception: {told['exceptionDetails']['text']}")
            case "Runtime.consoleAPICalled":
                self.told.append(f"console: {told['args']}")
            case "Log.entryAdded":
                self.told.append(f"log: {told['entry']['text']} {told['entry'].get('url', '')}")
            case "Network.requestWillBeSent" if told["request"]["url"].partition(":")[0] not in ("file", "data"):
                self.told.append(f"request: {told['request']['url']}")

    def attach(self) -> None:
        """Begin with an empty page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, path: Path) -> None:
        """Open a file, and wait until it is loaded."""
        self.told, self.loaded = [], False
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not self.loaded:
            self._hear()

    def look(self, *, width: int, dark: bool = False, printed: bool = False, scale: float = 0.5) -> None:
        """Set the window's width in CSS pixels, the colour scheme, whether it is for paper, and a picture's scale."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=scale, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media="print" if printed else "", features=features)

    def press_tab(self) -> None:
        """Go on by the keyboard to what takes it next."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)

    def run(self, expression: str) -> Any:
        """Return what an expression of JavaScript comes to, a promise's value included."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"]["exception"].get("description", found["exceptionDetails"]))
        return found["result"].get("value")

    def picture(self, to: str = "html") -> bytes:
        """Return the page as a PNG, to the end of the first element that a selector finds."""
        # Asking waits for the layout, which a change of the window or of the medium has just made anew.
        width = self.run("document.documentElement.clientWidth")
        height = self.run(
            f"Math.ceil(document.querySelector({json.dumps(to)}).getBoundingClientRect().bottom + scrollY)"
        )
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(taken["data"])

    def difference(self, first: bytes, second: bytes, shade: int = 96) -> float:
        """Return which part of the pixels of two PNGs differs visibly, from 0 to 1; -1 if their sizes differ.

        Another version of a font moves the edges of letters, and a page's height by a line.
        """
        self.call("Page.navigate", url="about:blank")
        texts = [json.dumps(base64.b64encode(each).decode()) for each in (first, second)]
        return float(self.run(f"({DIFFERENCE})({texts[0]}, {texts[1]}, {shade})"))


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Run a Chromium with a home of its own, and end it with all of its processes."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    # Its sockets lie below TMPDIR, and Linux takes 107 characters for one: a longer place ends Chromium without a word.
    short = "/tmp" if os.path.isdir("/tmp") else None
    with tempfile.TemporaryDirectory(dir=short, ignore_cleanup_errors=True) as home:
        # A shell puts the two ends where Chromium looks for them.
        command = f'exec "$@" {LISTENS}<&{to_read} {SPEAKS}>&{from_write}'
        words = Path(home, "words")
        with words.open("wb") as stderr:
            process = subprocess.Popen(
                ["bash", "-c", command, "bash", path, *OPTIONS, f"--user-data-dir={home}/profile"],
                pass_fds=(to_read, from_write),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, "HOME": home, "TMPDIR": home},
                start_new_session=True,
            )
        os.close(to_read)
        os.close(from_write)
        try:
            with os.fdopen(to_write, "wb") as to, os.fdopen(from_read, "rb") as out:
                browser = Browser(to, out, words)
                browser.attach()
                yield browser
                browser.session = ""
                browser.call("Browser.close")
        finally:
            # Its group has processes that outlive the first one for a moment, and write into its profile.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
