"""Back-propagation by hand: a network small enough to work out, its workbook, its walk, a check of other workbooks."""
