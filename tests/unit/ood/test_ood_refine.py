import cv2
import numpy as np
import pytest

from airside.errors import UsageError
from airside.ood.refine import affinity_smooth, guided_upsample, upsample
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


def slow_affinity(score: np.ndarray, tokens: np.ndarray, temperature: float, observed: np.ndarray) -> np.ndarray:
    out = np.zeros(score.shape)
    for y, x in np.ndindex(score.shape):
        cosines, values = [1.0], [score[y, x]]
        for j, i in np.ndindex(score.shape):
            if max(abs(j - y), abs(i - x)) == 1 and observed[j, i]:
                cosines.append(float(tokens[y, x] @ tokens[j, i]))
                values.append(score[j, i])
        weight = np.exp(np.array(cosines) / temperature)
        out[y, x] = (weight / weight.sum()) @ np.array(values)
    return out


def test_affinity_equals_the_loop() -> None:
    rng = np.random.default_rng(3)
    score = rng.normal(0, 3, (5, 7)).astype(np.float32)
    tokens = rng.normal(size=(5, 7, 16)).astype(np.float32)
    tokens /= np.linalg.norm(tokens, axis=-1, keepdims=True)
    observed = np.ones((5, 7), bool)
    observed[0] = False
    np.testing.assert_allclose(
        affinity_smooth(score, tokens, 0.3, observed), slow_affinity(score, tokens, 0.3, observed), atol=1e-5
    )
    fast = affinity_smooth(score, tokens, 0.3)
    np.testing.assert_allclose(fast, slow_affinity(score, tokens, 0.3, np.ones((5, 7), bool)), atol=1e-5)
    assert not np.allclose(fast, affinity_smooth(score, tokens[::-1], 0.3), atol=1e-2)


def test_affinity_averages_within_an_object_only() -> None:
    tokens = np.zeros((4, 6, 2), np.float32)
    tokens[:, :3, 0] = tokens[:, 3:, 1] = 1
    score = np.where(np.arange(6) < 3, 0.1, 0.9) * np.ones((4, 1))
    score[1, 1] = 0.8  # noise inside the left object
    smooth = affinity_smooth(score.astype(np.float32), tokens, 0.05)
    assert smooth[1, 1] < 0.25
    np.testing.assert_allclose(smooth[:, 3:], 0.9, atol=1e-3)


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
        affinity_smooth(np.zeros((2, 3)), np.zeros((3, 2, 4)))
    with pytest.raises(UsageError, match="positive"):
        affinity_smooth(np.zeros((2, 3)), np.zeros((2, 3, 4)), 0.0)
