"""Pictures of pages."""

from pathlib import Path

import numpy as np
import pymupdf
import pytest

from engine.errors import DocumentError
from engine.ingest import page_picture, place_of, read_document


def pixels(png: bytes) -> np.ndarray:
    picture = pymupdf.Pixmap(png)
    return np.frombuffer(picture.samples, dtype=np.uint8).reshape(picture.height, picture.width, picture.n)


def is_marked(pixel: np.ndarray) -> bool:
    return bool(pixel[2] < pixel[0])


class TestPicture:
    def test_size(self, sample_pdf: Path) -> None:
        picture = pixels(page_picture(sample_pdf, 1, [], width=450))
        assert picture.shape == (637, 450, 3)

    def test_the_quote_is_marked_and_nothing_else(self, sample_pdf: Path) -> None:
        page = read_document(sample_pdf).pages[1]
        place = place_of(page, "The kettle must be clean, dry and in its original box.")
        assert place is not None
        assert page.width is not None
        plain, marked = (pixels(page_picture(sample_pdf, 2, boxes, width=600)) for boxes in ([], place.boxes))
        changed = np.argwhere((plain != marked).any(axis=2))
        scale = 600 / page.width
        left, top, right, bottom = (value * scale for value in place.boxes[0])
        assert top - 3 <= changed[:, 0].min() <= changed[:, 0].max() <= bottom + 3
        assert left - 3 <= changed[:, 1].min() <= changed[:, 1].max() <= right + 3
        assert is_marked(marked[int((top + bottom) / 2), int(left)])

    def test_letters_stay_dark_under_the_mark(self, sample_pdf: Path) -> None:
        page = read_document(sample_pdf).pages[1]
        place = place_of(page, "The kettle must be clean, dry and in its original box.")
        assert place is not None
        assert page.width is not None
        picture = pixels(page_picture(sample_pdf, 2, place.boxes, width=900))
        left, top, right, bottom = (int(value * 900 / page.width) for value in place.boxes[0])
        assert picture[top:bottom, left:right].min() < 60

    def test_rotated_page(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            page = document.new_page(width=400, height=600)
            page.set_rotation(90)
            page.insert_text(pymupdf.Point(50, 100) * page.derotation_matrix, "Delivery takes 3 days.", rotate=90)
            document.save(tmp_path / "a.pdf")
        place = place_of(read_document(tmp_path / "a.pdf").pages[0], "Delivery takes 3 days.")
        assert place is not None
        picture = pixels(page_picture(tmp_path / "a.pdf", 1, place.boxes, width=600))
        assert picture.shape == (400, 600, 3)
        inside = picture[88:103, 50:150]
        assert inside.min() < 60

    @pytest.mark.parametrize("box", [(-50, -50, 5000, 5000), (5, 5, 5, 5), (9, 9, 1, 1), (float("nan"), 0, 9, float("inf"))])
    def test_odd_boxes_do_no_harm(self, sample_pdf: Path, box: tuple[float, float, float, float]) -> None:
        assert pixels(page_picture(sample_pdf, 1, [box], width=100)).shape[1] == 100

    @pytest.mark.parametrize("size", [(20, 14000), (14000, 20), (14000, 14000), (3, 3)])
    def test_hostile_page_sizes_are_bounded(self, tmp_path: Path, size: tuple[float, float]) -> None:
        with pymupdf.open() as document:
            document.new_page(width=size[0], height=size[1])
            document.save(tmp_path / "a.pdf")
        picture = pixels(page_picture(tmp_path / "a.pdf", 1, [], width=100_000))
        assert picture.shape[0] * picture.shape[1] <= 12_000_000

    def test_user_units_do_not_make_it_larger(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            page = document.new_page(width=500, height=700)
            document.xref_set_key(page.xref, "UserUnit", "75000")
            document.save(tmp_path / "a.pdf")
        assert pixels(page_picture(tmp_path / "a.pdf", 1, [])).shape[:2] == (1260, 900)


class TestRefusals:
    @pytest.mark.parametrize("number", [0, -1, 5])
    def test_no_such_page(self, sample_pdf: Path, number: int) -> None:
        with pytest.raises(DocumentError, match="has no page"):
            page_picture(sample_pdf, number, [])

    def test_other_formats_have_no_pictures(self, sample_docx: Path) -> None:
        with pytest.raises(DocumentError, match="no page pictures"):
            page_picture(sample_docx, 1, [])

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match="cannot be read"):
            page_picture(tmp_path / "a.pdf", 1, [])

    def test_password(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            document.new_page().insert_text((72, 72), "secret")
            document.save(tmp_path / "a.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="user", owner_pw="owner")
        with pytest.raises(DocumentError, match="password"):
            page_picture(tmp_path / "a.pdf", 1, [])

    def test_damaged(self, sample_pdf: Path, tmp_path: Path) -> None:
        (tmp_path / "a.pdf").write_bytes(sample_pdf.read_bytes()[:3000])
        with pytest.raises(DocumentError, match="damaged"):
            page_picture(tmp_path / "a.pdf", 1, [])

    def test_a_file_that_became_a_bomb_is_looked_at_again(self, sample_pdf: Path, tmp_path: Path) -> None:
        path = tmp_path / "a.pdf"
        path.write_bytes(sample_pdf.read_bytes())
        assert page_picture(path, 1, [])
        with pymupdf.open() as document:
            page = document.new_page()
            page.insert_text((72, 72), "Open.")
            show = b"(" + b"a" * 90 + b") Tj "
            document.update_stream(page.get_contents()[0], b"BT /helv 11 Tf " + show * 400_000 + b"ET")
            document.save(path, deflate=True)
        with pytest.raises(DocumentError, match="compression bomb"):
            page_picture(path, 1, [])

    def test_pictures_that_would_fill_the_memory(self, tmp_path: Path) -> None:
        with pymupdf.open() as document:
            picture = pymupdf.Pixmap(pymupdf.csGRAY, pymupdf.IRect(0, 0, 20, 20))
            page = document.new_page()
            xref = page.insert_image(pymupdf.Rect(0, 0, 500, 700), pixmap=picture)
            document.xref_set_key(xref, "Width", "60000")
            document.xref_set_key(xref, "Height", "60000")
            document.save(tmp_path / "a.pdf")
        with pytest.raises(DocumentError, match="too large"):
            page_picture(tmp_path / "a.pdf", 1, [])
