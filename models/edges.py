#!/usr/bin/env python3
"""Draws pictures of flat areas and straight edges, as sharp as a sampled edge can be; models/train.sh calls it.

usage: models/edges.py --out DIR [--images N] [--size WxH] [--seed N]

Photographs and textured scenes hold few such edges, and a student that has not seen them draws halos along them. Each
picture is drawn at four times its size and averaged down, so that an edge's pixels hold the share that each side covers.
"""
import argparse
import pathlib

import cv2
import numpy as np

FINER = 4


def picture(rng, width, height):
    # Fainter than most edges: a student takes a faint one for texture that was blurred.
    middle, spread = rng.uniform(0, 255), 10 ** rng.uniform(1.2, 2)

    def grey():
        return rng.uniform(max(0, middle - spread), min(255, middle + spread))

    canvas = np.full((height * FINER, width * FINER, 3), grey(), np.uint8)
    longest = FINER * max(width, height)
    for _ in range(rng.integers(8, 24)):
        # A rectangle at any angle, often long and thin, from a few pixels to the whole picture.
        centre = rng.uniform(0, 1, 2) * (width * FINER, height * FINER)
        sides = longest * 10 ** rng.uniform(-1.8, 0, 2)
        angle = rng.choice([0, 90, *rng.uniform(0, 180, 6)])
        corners = cv2.boxPoints((tuple(map(float, centre)), tuple(map(float, sides)), float(angle)))
        colour = np.clip(grey() + rng.normal(0, 20, 3), 0, 255)
        cv2.fillPoly(canvas, [corners.astype(np.int32)], tuple(map(float, colour)))
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--size", default="768x512")
    parser.add_argument("--seed", type=int, default=8)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    args.out.mkdir(parents=True, exist_ok=True)
    for number in range(args.images):
        rng = np.random.default_rng([args.seed, number])
        cv2.imwrite(str(args.out / f"edges-{number:03}.png"), picture(rng, width, height))


if __name__ == "__main__":
    main()
