"""Road-anomaly data sets in their official layouts: a table of names, each a lazy sequence of labelled frames."""
