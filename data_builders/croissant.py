"""What a dataset is and where its columns lie, as Croissant 1.0 (JSON-LD; docs.mlcommons.org)."""

from typing import Any

from pe.records import Pair, arrow_schema

FILES = "pairs"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
MEANINGS = {
    "id": "hash of what the pair holds",
    "query": "what a person types",
    "prefix": "control prefix; the model reads it, a space and the query",
    "prompt": "what the model is to write",
    "kind": "what kind of query it is",
    "source": "where the row came from",
    "split": "train, validation or test",
    "half": "base or refine, of the train split",
    "parents": "ids of query, inversion and image",
    "licence": "of the row, as its source states it",
    "language": "of the prompt: ISO 639-1, or und",
}


def make_croissant(name: str, description: str, licences: list[str], key: str) -> dict[str, Any]:
    """Describe the Parquet files of pairs/ beside which it lies; `key` tells versions apart."""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "url": ".",
        "license": licences or ["unknown"],
        "version": f"1.0.0+{key}",
        "citeAs": "arXiv:2312.16720",
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": FILES,
                "name": FILES,
                "description": "the pairs, in shards",
                "encodingFormat": "application/x-parquet",
                "includes": f"{FILES}/*.parquet",
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "pair",
                "name": "pair",
                "key": {"@id": "pair/id"},
                "field": [_describe(field.name) for field in arrow_schema(Pair)],
            }
        ],
    }


def _describe(column: str) -> dict[str, Any]:
    field = {
        "@type": "cr:Field",
        "@id": f"pair/{column}",
        "name": column,
        "description": MEANINGS[column],
        "dataType": "sc:Text",
        "source": {"fileSet": {"@id": FILES}, "extract": {"column": column}},
    }
    return {**field, "repeated": True} if column == "parents" else field
