"""Retrieval, personalization, diversity and explanation of Endcap, without Triton or torch."""
