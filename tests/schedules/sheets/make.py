"""Writes the workbooks of this folder, all with the same schedule, with three libraries that EduHub does not use.

pip install xlwt==1.3.0 openpyxl==3.1.5 odfpy==1.4.1
"""

import datetime

import openpyxl
import xlwt
from odf import opendocument, table, text

DATE, TIME = datetime.date(2031, 1, 20), datetime.time
HEAD = ["Subject", "Number", "CRN", "Title", "Seats Cap", "Credits", "Days", "Start Time", "End Time", "Start", "Room"]
ROWS = [
    ["CHEM", 101, "00076", "Química general", 24, 4, "MWF", TIME(9, 30), TIME(10, 20), DATE, "North 12"],
    ["CHEM", 102, "00077", "Laboratory", 12, 1.5, "R", TIME(13, 0), TIME(15, 50), DATE, 105],
    ["CHEM", 103, "00078", "Reactions", 30, 3, None, None, None, DATE, None],
]
NOTES = "Printed for the office"


def xls():
    book = xlwt.Workbook()
    book.add_sheet("Notes").write(0, 0, NOTES)
    sheet = book.add_sheet("Fall")
    sheet.write_merge(0, 0, 0, 10, "Department of Chemistry, spring 2031")
    formats = {datetime.date: "D/M/YY", datetime.time: "h:mm AM/PM"}
    for column, name in enumerate(HEAD):
        sheet.write(2, column, name)
    sheet.write_merge(3, 5, 0, 0, "CHEM")
    for row, cells in enumerate(ROWS, 3):
        for column, value in list(enumerate(cells))[1:]:
            style = xlwt.easyxf(num_format_str=formats[type(value)]) if type(value) in formats else xlwt.Style.default_style
            if value is not None:
                sheet.write(row, column, value, style)
    book.save("fall.xls")


def xlsx():
    book = openpyxl.Workbook()
    book.active.title = "Notes"
    book.active["A1"] = NOTES
    sheet = book.create_sheet("Fall")
    sheet["A1"] = "Department of Chemistry, spring 2031"
    sheet.merge_cells("A1:K1")
    for column, name in enumerate(HEAD, 1):
        sheet.cell(3, column, name)
    for row, cells in enumerate(ROWS, 4):
        for column, value in enumerate(cells, 1):
            if not (column == 1 and row > 4):
                sheet.cell(row, column, value)
    sheet.merge_cells("A4:A6")
    book.save("fall.xlsx")


def ods():
    book = opendocument.OpenDocumentSpreadsheet()

    def cell(value):
        if value is None:
            return table.TableCell()
        if isinstance(value, datetime.date):
            return table.TableCell(valuetype="date", datevalue=value.isoformat())
        if isinstance(value, datetime.time):
            return table.TableCell(valuetype="time", timevalue=value.strftime("PT%HH%MM%SS"))
        if isinstance(value, str):
            made = table.TableCell(valuetype="string")
            made.addElement(text.P(text=value))
            return made
        return table.TableCell(valuetype="float", value=value)

    for name, rows in [
        ("Notes", [[NOTES]]),
        ("Fall", [["Department of Chemistry, spring 2031"], [None], HEAD, *ROWS]),
    ]:
        sheet = table.Table(name=name)
        for cells in rows:
            made = table.TableRow()
            for value in cells:
                made.addElement(cell(value))
            sheet.addElement(made)
        book.spreadsheet.addElement(sheet)
    book.save("fall.ods")


xls()
xlsx()
ods()
