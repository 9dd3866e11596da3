"""The report page in headless Chromium. Screenshots stay in ``build/screenshots/`` to be looked at."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from porebench.benchmarks.evaluate.draws import read_draws
from porebench.benchmarks.report.page import write_page
from porebench.benchmarks.store.results import read_run
from porebench.data import read_set

webdriver = pytest.importorskip("selenium.webdriver")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
SCREENSHOTS = Path(__file__).resolve().parent.parent / "build" / "screenshots"
SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PATIENCE = 60  # seconds until a thing that never comes counts as absent

pytestmark = [
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs Chromium: apt-get install chromium chromium-driver"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def address(results: Path) -> str:
    """The page of a small results folder, on disk."""
    return write_page(results, read_draws).as_uri()


@pytest.fixture
def open_page(address: str) -> Iterator[Open]:
    """Opens the page in a browser of its own, with given switches; checks the console at the end."""
    drivers = []

    def start(*switches: str, width: int = 1200, dark: bool = False, script: bool = True) -> Any:
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for switch in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", *switches):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        drivers.append(driver)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        driver.get(address)
        return driver

    yield start
    for driver in drivers:
        severe = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        driver.quit()
        assert not severe


def _show(driver: Any, selector: str) -> Any:
    element = driver.find_element(By.CSS_SELECTOR, selector)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return element


def _wait(driver: Any, script: str) -> Any:
    return WebDriverWait(driver, PATIENCE, 0.1).until(lambda driver: driver.execute_script(f"return {script}"))


def _screenshot(driver: Any, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    height = driver.execute_script("return document.documentElement.scrollHeight")
    width = driver.execute_script("return document.documentElement.clientWidth")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    (SCREENSHOTS / f"{name}.png").write_bytes(base64.b64decode(taken["data"]))


def _see_all_plots(driver: Any) -> None:
    for plot in driver.find_elements(By.CSS_SELECTOR, ".plot"):
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
        WebDriverWait(driver, PATIENCE, 0.1).until(lambda _, plot=plot: "drawn" in plot.get_attribute("class"))


def test_a_reader_sorts_turns_cuts_and_chooses(open_page: Open) -> None:
    driver = open_page(*SOFTWARE_GL)
    loaded = driver.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in loaded if not name.startswith(("data:", "blob:"))] == []

    heads = driver.find_elements(By.CSS_SELECTOR, "#accuracy-tiny table:first-of-type thead th")
    score = next(head for head in heads if head.text.startswith("NFR100 ["))
    column = heads.index(score)
    orders = []
    for direction in ("ascending", "descending"):
        score.find_element(By.TAG_NAME, "button").click()
        assert score.get_attribute("aria-sort") == direction
        rows = driver.find_elements(By.CSS_SELECTOR, "#accuracy-tiny table:first-of-type tbody tr")[:3]
        orders.append([float(row.find_elements(By.CSS_SELECTOR, "td")[column].text.split()[0]) for row in rows])
    assert orders[0] == sorted(orders[0])
    assert orders[1] == sorted(orders[0], reverse=True)

    _show(driver, "#view-tiny .pair")
    _wait(driver, "document.querySelectorAll('#view-tiny .js-plotly-plot').length === 2")
    caption = driver.find_element(By.CSS_SELECTOR, "#view-tiny .caption-real")
    before = caption.text
    meshes = "document.querySelector('#view-tiny .solid.generated').data.slice(0, 3)"
    faces = f"{meshes}.reduce((count, mesh) => count + mesh.i.length, 0)"
    whole = driver.execute_script(f"return {faces}")
    driver.execute_script(
        "const slider = document.querySelector('#view-tiny .density'); slider.value = slider.max;"
        "slider.dispatchEvent(new Event('input'))"
    )
    assert caption.text != before
    assert driver.execute_script(f"return {faces}") > whole
    driver.execute_script(
        "const slider = document.querySelector('#view-tiny .cut'); slider.value = 4;"
        "slider.dispatchEvent(new Event('input'))"
    )
    assert driver.execute_script("return document.querySelector('#view-tiny .solid.real').data[3].i.length") > 0
    Select(driver.find_element(By.CSS_SELECTOR, "#view-tiny .generator")).select_by_visible_text("noise")
    _wait(driver, "document.querySelector('#view-tiny .caption-generated').textContent.startsWith('noise, porosity')")

    eye = "JSON.stringify(document.querySelector('#view-tiny .solid.{}')._fullLayout.scene.camera.eye)"
    straight = driver.execute_script("return " + eye.format("real"))
    canvas = driver.find_element(By.CSS_SELECTOR, "#view-tiny .solid.real canvas")
    ActionChains(driver).move_to_element(canvas).click_and_hold().move_by_offset(80, 30).release().perform()
    _wait(driver, eye.format("real") + f" !== '{straight}'")
    _wait(driver, eye.format("real") + " === " + eye.format("generated"))
    assert not driver.find_element(By.CSS_SELECTOR, "#view-tiny .still").is_displayed()
    _see_all_plots(driver)
    _screenshot(driver, "light")


def test_what_the_page_saves_is_what_it_shows(open_page: Open, results: Path, tmp_path: Path) -> None:
    driver = open_page(*SOFTWARE_GL)
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    _show(driver, "#view-tiny .pair")
    _wait(driver, "document.querySelectorAll('#view-tiny .js-plotly-plot').length === 2")
    draws = read_draws(read_run(results / "tiny"))
    place = len(draws.density) // 2
    shown = driver.find_element(By.CSS_SELECTOR, "#view-tiny .generator").get_property("value")
    for which, name in (("real", "real"), ("generated", shown)):
        for kind in ("nrrd", "npy"):
            _show(driver, f"#view-tiny [data-save={which}][data-format={kind}]").click()
            path = tmp_path / f"tiny-{name}_{place:03d}_{draws.density[place]:.3f}.{kind}"
            WebDriverWait(driver, PATIENCE, 0.1).until(lambda _, path=path: path.is_file())
            found = read_set(path)
            np.testing.assert_array_equal(found.voxels[0], draws.voxels[name][place])
            assert found.voxel_size == (draws.voxel_size if kind == "nrrd" else 1)


def test_the_page_is_dark_where_the_system_is_and_where_asked(open_page: Open) -> None:
    driver = open_page(*SOFTWARE_GL, dark=True)
    _wait(driver, "document.querySelector('.plot.drawn') !== null")
    text = "document.querySelector('.plot').layout.font.color"
    background = "getComputedStyle(document.body).backgroundColor"
    assert driver.execute_script(f"return {text}") == "#e6e9ed"
    assert driver.execute_script(f"return {background}") == "rgb(18, 22, 27)"
    _screenshot(driver, "dark")
    driver.find_element(By.ID, "theme").click()
    _wait(driver, f"{text} === '#1b1f24'")
    assert driver.execute_script(f"return {background}") == "rgb(255, 255, 255)"


def test_the_page_fits_a_phone(open_page: Open) -> None:
    driver = open_page(*SOFTWARE_GL, width=390)
    _see_all_plots(driver)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
    _screenshot(driver, "phone")


def test_without_webgl_a_still_picture_stands_in(open_page: Open) -> None:
    driver = open_page("--disable-3d-apis")
    picture = _show(driver, "#view-tiny .still")
    assert _wait(driver, "document.querySelector('#view-tiny .still').naturalWidth") > 100
    assert picture.is_displayed()
    assert driver.find_element(By.CSS_SELECTOR, "#view-tiny .no-webgl").is_displayed()


def test_without_scripts_tables_and_pictures_remain(open_page: Open) -> None:
    driver = open_page(script=False)
    pictures = driver.find_elements(By.CSS_SELECTOR, ".still")
    assert len(pictures) >= 5
    assert all(picture.is_displayed() for picture in pictures)
    assert driver.find_element(By.CSS_SELECTOR, "#accuracy-tiny table").is_displayed()
    assert not driver.find_element(By.CSS_SELECTOR, "#view-tiny .controls").is_displayed()
    _screenshot(driver, "without-scripts")
