import cv2
import numpy as np
import pytest

from airside.errors import UsageError
from airside.ood.refine import SHARPENING, guided_upsample, sharpened, unmixed, upsample
from eval.metrics.pixel import pixel_metrics


def slow_guided(target: np.ndarray, guide: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """He et al. 2010, eq. 19-21, window by window: covariance and a 3x3 solve at each pixel."""
    height, width = target.shape
    pad = ((radius, radius), (radius, radius))
    padded, padded_guide = np.pad(target, pad, mode="symmetric"), np.pad(guide, (*pad, (0, 0)), mode="symmetric")
    slope, offset = np.zeros((height, width, 3)), np.zeros((height, width))
    side = 2 * radius + 1
    for y in range(height):
        for x in range(width):
            p = padded[y : y + side, x : x + side].reshape(-1)
            i = padded_guide[y : y + side, x : x + side].reshape(-1, 3)
            covariance = np.cov(i.T, bias=True) + eps * np.eye(3)
            slope[y, x] = np.linalg.solve(covariance, i.T @ p / len(p) - i.mean(0) * p.mean())
            offset[y, x] = p.mean() - slope[y, x] @ i.mean(0)
    slope = np.pad(slope, (*pad, (0, 0)), mode="symmetric")
    offset = np.pad(offset, pad, mode="symmetric")
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            window = slope[y : y + side, x : x + side].reshape(-1, 3).mean(0)
            out[y, x] = window @ guide[y, x] + offset[y : y + side, x : x + side].mean()
    return out


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A tilted bar on textured ground: picture [112, 168, 3], truth, and its patch means [8, 12]."""
    rng = np.random.default_rng(0)
    truth = cv2.fillPoly(np.zeros((112, 168), np.uint8), [np.array([[40, 30], [120, 55], [112, 85], [35, 62]])], 1)
    image = np.where(truth[..., None] > 0, (200, 90, 40), (90, 95, 100)) + rng.normal(0, 6, (112, 168, 3))
    score = cv2.resize(truth.astype(np.float32), (12, 8), interpolation=cv2.INTER_AREA)
    score = np.clip(score + rng.normal(0, 0.08, score.shape), 0, 1).astype(np.float32)
    return np.clip(image, 0, 255).astype(np.uint8), truth, score


def test_guided_filter_equals_the_paper_window_by_window() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (14, 21, 3), dtype=np.uint8)
    score = rng.uniform(0.3, 0.7, (2, 3)).astype(np.float32)
    slow = slow_guided(upsample(score, (14, 21)).astype(float), image / 255.0, 2, 1e-2)
    fast = guided_upsample(score, image, 2, 1e-2, subsample=1)
    np.testing.assert_allclose(fast, np.clip(slow, score.min(), score.max()), atol=1e-4)
    other = guided_upsample(score, image[::-1].copy(), 2, 1e-2, subsample=1)
    assert not np.allclose(fast, other, atol=1e-3)


def test_guided_map_follows_the_object_better_than_plain_enlargement() -> None:
    image, truth, score = scene()
    ap = {}
    for name, large in {
        "nearest": cv2.resize(score, (168, 112), interpolation=cv2.INTER_NEAREST),
        "bilinear": upsample(score, (112, 168)),
        "bicubic": upsample(score, (112, 168), cubic=True),
        "guided": guided_upsample(score, image),
    }.items():
        metrics = pixel_metrics(large, truth)
        assert metrics is not None
        ap[name] = metrics.ap
    assert ap["nearest"] < ap["bilinear"]
    assert max(ap["bilinear"], ap["bicubic"]) < ap["guided"]


def test_flat_picture_leaves_a_smooth_map_and_range_is_kept() -> None:
    score = np.random.default_rng(2).uniform(0.2, 0.8, (8, 12)).astype(np.float32)
    grey = np.full((112, 168, 3), 128, np.uint8)
    for large in (guided_upsample(score, grey), upsample(score, (112, 168)), upsample(score, (112, 168), cubic=True)):
        assert large.shape == (112, 168)
        assert large.dtype == np.float32
        assert large.min() >= score.min()
        assert large.max() <= score.max()
    constant = guided_upsample(np.full((8, 12), 0.3, np.float32), scene()[0])
    np.testing.assert_allclose(constant, 0.3, atol=1e-6)


def test_upsampling_is_centred_on_patches() -> None:
    score = np.zeros((8, 12), np.float32)
    score[3, 5] = 1
    large = upsample(score, (112, 168))
    rows, columns = np.nonzero(large == large.max())
    assert (rows.mean(), columns.mean()) == (3.5 * 14 - 0.5, 5.5 * 14 - 0.5)


def patches_around(observed: np.ndarray, y: int, x: int, reach: int) -> list[tuple[int, ...]]:
    """The ``observed`` ones within ``reach`` patches of (y, x), itself left out."""
    every = np.ndindex(observed.shape)
    return [(j, i) for j, i in every if 0 < max(abs(j - y), abs(i - x)) <= reach and observed[j, i]]


def slow_sharpened(score: np.ndarray, tokens: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """The docstring's equation, patch by patch."""
    odds = np.log(score / (1 - score)).astype(np.float64)
    out = np.zeros(score.shape)
    for y, x in np.ndindex(score.shape):
        near = patches_around(observed, y, x, 1)
        weight = [max(float(tokens[y, x] @ tokens[at]), 0.0) ** 2 for at in near]
        around = np.average([odds[at] for at in near], weights=weight) if sum(weight) else odds[y, x]
        out[y, x] = odds[y, x] + SHARPENING * (odds[y, x] - around)
    return 1 / (1 + np.exp(-out))


def test_sharpening_equals_the_loop() -> None:
    tokens = unit_tokens((6, 7), 4)
    score = np.random.default_rng(5).uniform(0.05, 0.95, (6, 7)).astype(np.float32)
    everything, lower = np.ones((6, 7), bool), np.ones((6, 7), bool)
    lower[:2] = False
    np.testing.assert_allclose(sharpened(score, tokens), slow_sharpened(score, tokens, everything), atol=1e-5)
    found = sharpened(score, tokens, lower)
    np.testing.assert_allclose(found[2:], slow_sharpened(score, tokens, lower)[2:], atol=1e-5)
    assert not np.allclose(found, sharpened(score, tokens), atol=1e-2)


def test_sharpening_sets_a_patch_off_from_its_like_only() -> None:
    """Columns 0 to 2 look alike, 3 to 5 too; what column 3 is scored does not move column 2."""
    tokens = np.zeros((4, 6, 2), np.float32)
    tokens[:, :3, 0] = tokens[:, 3:, 1] = 1
    score = np.where(np.arange(6) < 3, 0.2, 0.9).astype(np.float32) * np.ones((4, 1), np.float32)
    np.testing.assert_allclose(sharpened(score, tokens), score, atol=1e-6)
    score[1, 1] = 0.4
    found = sharpened(score, tokens)
    assert found[1, 1] > 0.4
    assert (found[0, :3] < 0.2).all()
    np.testing.assert_allclose(found[:, 3:], score[:, 3:], atol=1e-6)


def test_one_odd_patch_among_familiar_ones_stays_odd() -> None:
    """Its neighbours' weights lie seven orders below its own: no rounding of sums may reach them."""
    tokens = unit_tokens((5, 6), 8)
    score = np.random.default_rng(6).uniform(0.08, 0.16, (5, 6)).astype(np.float32)
    score[2, 3] = 0.97
    found = unmixed(score, tokens)
    np.testing.assert_allclose(found, slow_unmixed(score, tokens, np.ones((5, 6), bool)), atol=1e-5)


@pytest.mark.parametrize("observed", [np.ones((5, 6), bool), np.zeros((5, 6), bool)])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_an_even_map_stays_as_it_is(value: float, observed: np.ndarray) -> None:
    even, tokens = np.full((5, 6), value, np.float32), unit_tokens((5, 6), 8)
    for step in (sharpened, unmixed):
        np.testing.assert_allclose(step(even, tokens, observed), even, atol=2e-6)
        np.testing.assert_allclose(step(even[:1, :1], tokens[:1, :1]), value, atol=2e-6)


def slow_unmixed(score: np.ndarray, tokens: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """The docstring's equation, patch by patch, over windows of 5 x 5."""
    out = np.zeros(score.shape)
    for y, x in np.ndindex(score.shape):
        near = patches_around(observed, y, x, 2)
        odd = np.array([score[at] ** 8 for at in near])
        plain = np.array([(1 - score[at]) ** 8 for at in near])
        scores, vectors = np.array([score[at] for at in near]), np.array([tokens[at] for at in near], np.float64)
        s_u, u = odd @ scores / odd.sum(), odd @ vectors / odd.sum()
        s_k, k = plain @ scores / plain.sum(), plain @ vectors / plain.sum()
        share = np.clip((tokens[y, x] - k) @ (u - k) / ((u - k) @ (u - k)), 0, 1)
        out[y, x] = score[y, x] + (s_u - s_k) * (s_k + share * (s_u - s_k) - score[y, x])
    return out


def unit_tokens(shape: tuple[int, int], channels: int) -> np.ndarray:
    tokens = np.random.default_rng(3).normal(size=(*shape, channels)).astype(np.float32)
    return np.asarray(tokens / np.linalg.norm(tokens, axis=-1, keepdims=True))


def test_unmixing_equals_the_loop() -> None:
    tokens = unit_tokens((6, 7), 16)
    score = np.random.default_rng(4).uniform(0.05, 0.95, (6, 7)).astype(np.float32)
    everything, lower = np.ones((6, 7), bool), np.ones((6, 7), bool)
    lower[:2] = False
    np.testing.assert_allclose(unmixed(score, tokens), slow_unmixed(score, tokens, everything), atol=1e-4)
    np.testing.assert_allclose(unmixed(score, tokens, lower)[2:], slow_unmixed(score, tokens, lower)[2:], atol=1e-4)
    assert not np.allclose(unmixed(score, tokens), unmixed(score, tokens, lower), atol=1e-2)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
def test_a_patch_that_shows_two_things_has_the_score_of_its_mixture(share: float) -> None:
    """The middle one of 3 x 5 is mixed; its own score says that it is all familiar."""
    thing, ground = np.eye(4, dtype=np.float32)[:2]
    tokens = np.where(np.arange(5)[:, None] < 3, ground, thing) * np.ones((3, 1, 1), np.float32)
    tokens[1, 2] = share * thing + (1 - share) * ground
    score = np.array([0, 0, 0, 1, 1], np.float32) * np.ones((3, 1), np.float32)
    wanted = score.copy()
    wanted[1, 2] = share
    np.testing.assert_allclose(unmixed(score, tokens), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("image", "radius", "eps", "subsample"),
    [
        (np.zeros((28, 28), np.uint8), 4, 1e-3, 2),
        (np.zeros((28, 28, 3), np.float32), 4, 1e-3, 2),
        (np.zeros((28, 28, 3), np.uint8), 0, 1e-3, 2),
        (np.zeros((28, 28, 3), np.uint8), 4, 0.0, 2),
        (np.zeros((28, 28, 3), np.uint8), 4, float("nan"), 2),
        (np.zeros((28, 28, 3), np.uint8), 4, 1e-3, 0),
    ],
)
def test_guided_refuses(image: np.ndarray, radius: int, eps: float, subsample: int) -> None:
    with pytest.raises(UsageError):
        guided_upsample(np.zeros((2, 2), np.float32), image, radius, eps, subsample=subsample)


def test_others_refuse() -> None:
    for score, shape in ((np.zeros(4), (8, 8)), (np.zeros((0, 4)), (8, 8)), (np.zeros((2, 2)), (0, 8))):
        with pytest.raises(UsageError, match="a map"):
            upsample(score, shape)
    with pytest.raises(UsageError, match="tokens"):
        unmixed(np.zeros((2, 3)), np.zeros((3, 2, 4)))
    with pytest.raises(UsageError, match="tokens"):
        sharpened(np.zeros((2, 3)), np.zeros((2, 3)))
