"""Files on disk, on S3 or on HDFS alike: what names them, how Arrow reads them, how a table there is replaced."""
