"""Vectors of items from their pictures and texts, or from elsewhere: made once, kept in a folder, read by models.

Independent of the network. What other packages call:

    from model.content.collect import collect              contents become vectors in a folder, what is known is kept
    from model.content.describers import describer_of      a describer by its name
    from model.content.pictures import Pictures            pictures of items in a folder or a zip file
    from model.content.imported import read_vectors        vectors in .npy and .safetensors files
    from model.content.collection import Collection        the vectors in such a folder
    from model.content.source import CollectedFeatures     a modality of a model: the vectors, reduced
"""
