"""Configurations of Hugging Face as workloads: published totals of parameters, and what is refused."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.spec import dump_yaml, load, parse
from hwsim.workload.catalog import find_workload
from hwsim.workload.huggingface import MODEL_TYPES, document_of_config
from hwsim.workload.model import Workload
from hwsim.workload.summary import summary

LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "hidden_act": "silu",
    "torch_dtype": "bfloat16",
}

GRANITE = ["attention" if layer % 10 == 5 else "mamba" for layer in range(40)]
SLIDING, FULL = "sliding_attention", "full_attention"


def shapes(width, layers, heads, kv_heads, inner, vocab, **more):
    """The usual keys of a decoder."""
    keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    keys = (*keys, "intermediate_size", "vocab_size")
    return dict(zip(keys, (width, layers, heads, kv_heads, inner, vocab), strict=True)) | more


LATENT = {"kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
LITE = (
    {"model_type": "deepseek_v2", "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6}
    | {"moe_intermediate_size": 1408, "first_k_dense_replace": 1, "topk_method": "greedy"}
    | shapes(2048, 27, 16, 16, 10944, 102400)
    | LATENT
    | {"q_lora_rank": None}
)
V3 = (
    {"model_type": "deepseek_v3", "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8}
    | {"moe_intermediate_size": 2048, "first_k_dense_replace": 3, "n_group": 8, "topk_group": 4}
    | {"scoring_func": "sigmoid", "num_nextn_predict_layers": 1, "torch_dtype": "bfloat16"}
    | {"quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}}
    | shapes(7168, 61, 128, 128, 18432, 129280)
    | LATENT
)


def read(config, name="mine"):
    """The workload of a configuration, through its YAML text."""
    document = document_of_config(json.dumps(config).encode(), "config.json", name)
    return load(parse(dump_yaml(document).encode(), "mine.yaml"), Workload)


@pytest.mark.parametrize(
    ("total", "config"),
    [
        (8_030_261_248, LLAMA),
        (7_241_732_096, {"model_type": "mistral"} | shapes(4096, 32, 32, 8, 14336, 32000, sliding_window=4096)),
        (7_615_616_512, {"model_type": "qwen2"} | shapes(3584, 28, 28, 4, 18944, 152064, sliding_window=131072)),
        (8_190_735_360, {"model_type": "qwen3"} | shapes(4096, 36, 32, 8, 12288, 151936, head_dim=128)),
        (3_821_079_552, {"model_type": "phi3"} | shapes(3072, 32, 32, 32, 8192, 32064)),
        (2_506_172_416, {"model_type": "gemma", "hidden_act": "gelu"}
         | shapes(2048, 18, 8, 1, 16384, 256000, head_dim=256)),
        (46_702_792_704, {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
         | shapes(4096, 32, 32, 8, 14336, 32000)),
        (30_532_122_624, {"model_type": "qwen3_moe", "num_experts": 128, "num_experts_per_tok": 8, "head_dim": 128}
         | shapes(2048, 48, 32, 4, 6144, 151936, moe_intermediate_size=768)),
        (1_414_647_808, {"model_type": "gpt_neox", "hidden_act": "gelu"} | shapes(2048, 24, 16, 16, 8192, 50304)),
        (3_030_371_328, {"model_type": "starcoder2", "hidden_act": "gelu_pytorch_tanh", "use_bias": True}
         | shapes(3072, 30, 24, 2, 12288, 49152)),
        (124_439_808, {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257,
                       "n_positions": 1024, "activation_function": "gelu_new"}),
        (2_768_345_600, {"model_type": "mamba", "hidden_size": 2560, "num_hidden_layers": 64, "vocab_size": 50280}),
        (2_702_599_680, {"d_model": 2560, "n_layer": 64, "vocab_size": 50277, "ssm_cfg": {"layer": "Mamba2"},
                         "pad_vocab_size_multiple": 16}),
        (51_570_323_328, {"model_type": "jamba", "attn_layer_period": 8, "attn_layer_offset": 4,
                          "expert_layer_period": 2, "expert_layer_offset": 1, "num_experts": 16,
                          "num_experts_per_tok": 2, "mamba_dt_rank": 256} | shapes(4096, 32, 32, 8, 14336, 65536)),
        (109_482_240, {"model_type": "bert"}),
        (124_645_632, {"model_type": "roberta", "type_vocab_size": 1, "max_position_embeddings": 514}),
        (278_043_648, {"model_type": "xlm-roberta", "type_vocab_size": 1, "max_position_embeddings": 514,
                       "vocab_size": 250002}),
        (110_621_952, {"model_type": "camembert", "type_vocab_size": 1, "max_position_embeddings": 514,
                       "vocab_size": 32005}),
        (108_891_648, {"model_type": "electra", "embedding_size": 768}),
        (66_362_880, {"model_type": "distilbert"}),
        (66_955_010, {"model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"]}),
        (86_567_656, {"model_type": "vit"}),
        (87_338_192, {"model_type": "deit"}),
        (87_849_216, {"model_type": "clip_vision_model", "hidden_act": "quick_gelu"}),
        (86_580_480 - 768, {"model_type": "dinov2", "image_size": 518}),  # less the mask token
        (86_583_552 - 768, {"model_type": "dinov2_with_registers", "image_size": 518}),
        (6_658_473_984, {"model_type": "opt", "hidden_size": 4096, "ffn_dim": 16384, "num_hidden_layers": 32,
                         "num_attention_heads": 32, "vocab_size": 50272, "word_embed_proj_dim": 4096}),
        (2_614_341_888, {"model_type": "gemma2"} | shapes(2304, 26, 8, 4, 9216, 256000, sliding_window=4096)),
        (999_885_952, {"model_type": "gemma3_text"} | shapes(1152, 26, 4, 1, 6912, 262144, sliding_window=512)),
        (116_829_156_672, {"model_type": "gpt_oss", "num_local_experts": 128, "num_experts_per_tok": 4}
         | shapes(2880, 36, 64, 8, 2880, 201088)),
        (14_315_784_192, {"model_type": "qwen2_moe", "num_experts": 60, "num_experts_per_tok": 4,
                          "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632}
         | shapes(2048, 24, 16, 16, 5632, 151936)),
        (16_375_728_128, {"model_type": "deepseek", "n_routed_experts": 64, "n_shared_experts": 2,
                          "num_experts_per_tok": 6, "moe_intermediate_size": 1408, "first_k_dense_replace": 1}
         | shapes(2048, 28, 16, 16, 10944, 102400)),
        (235_741_434_880, {"model_type": "deepseek_v2", "n_routed_experts": 160, "n_shared_experts": 2,
                           "num_experts_per_tok": 6, "moe_intermediate_size": 1536, "first_k_dense_replace": 1}
         | LATENT | shapes(5120, 60, 128, 128, 12288, 102400)),
        (15_706_484_224, LITE),
        (671_026_419_200, V3),
        (7_272_665_088, {"model_type": "falcon_mamba", "hidden_size": 4096, "intermediate_size": 8192,
                         "num_hidden_layers": 64, "time_step_rank": 256, "vocab_size": 65024,
                         "tie_word_embeddings": False}),
        (8_888_227_328, {"model_type": "nemotron_h", "mamba_head_dim": 80, "hybrid_override_pattern":
                         "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"}
         | shapes(4480, 56, 40, 8, 15680, 131072)),
        (6_939_037_248, {"model_type": "granitemoehybrid", "num_local_experts": 64, "num_experts_per_tok": 6,
                         "shared_intermediate_size": 1024, "mamba_n_heads": 48, "mamba_d_state": 128,
                         "layer_types": GRANITE} | shapes(1536, 40, 12, 4, 512, 100352)),
        (3_191_396_096, {"model_type": "granitemoehybrid", "num_local_experts": 0, "shared_intermediate_size": 8192,
                         "mamba_d_head": 64, "mamba_n_heads": 64, "mamba_d_state": 128, "layer_types": GRANITE}
         | shapes(2048, 40, 32, 8, 8192, 100352)),
    ],
)  # fmt: skip
def test_parameters_equal_the_published_total(total, config):
    """To the unit, for one checkpoint of each kind."""
    assert summary(read(config)).parameters == total


@pytest.mark.parametrize(
    ("config", "activation"),
    [
        (LLAMA, "silu"),
        ({"model_type": "gemma"} | shapes(64, 1, 4, 1, 128, 100), "gelu"),
        ({"model_type": "gpt_neox"} | shapes(64, 1, 4, 4, 128, 100), "gelu"),
        ({"model_type": "starcoder2"} | shapes(64, 1, 4, 2, 128, 100), "gelu"),
        ({"model_type": "gpt2", "n_embd": 64, "n_layer": 1, "n_head": 4, "vocab_size": 9, "n_positions": 16}, "gelu"),
        ({"model_type": "gemma", "hidden_activation": None, "hidden_act": "silu"} | shapes(64, 1, 4, 1, 8, 9), "silu"),
    ],
)
def test_activation_left_out_is_that_of_the_kind(config, activation):
    """A file that names none has the default of its kind's configuration class."""
    config = {key: value for key, value in config.items() if config is not LLAMA or key != "hidden_act"}
    assert read(config).model.activation == activation


def test_what_mistral_s_file_leaves_out_is_its_class_s():
    """transformers' MistralConfig has a window of 4096 and 8 heads of keys; null says that there is no window."""
    config = {"model_type": "mistral"} | shapes(4096, 2, 32, 8, 14336, 32000)
    del config["num_key_value_heads"]
    assert (read(config).model.window, read(config).model.kv_heads) == (4096, 8)
    assert read(config | {"sliding_window": None}).model.window == 0


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("llama-3-8b", LLAMA),
        ("bert-base", {"model_type": "bert"}),
        ("bert-large", {"model_type": "bert", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
                        "intermediate_size": 4096}),
        ("gemma-2-9b", {"model_type": "gemma2"} | shapes(3584, 42, 16, 8, 14336, 256000, sliding_window=4096)),
        ("gpt-oss-20b", {"model_type": "gpt_oss", "num_local_experts": 32} | shapes(2880, 24, 64, 8, 2880, 201088)),
        ("deepseek-v2-lite", LITE),
        ("deepseek-v3", V3),
        ("qwen3-next-80b", {"model_type": "qwen3_next"} | shapes(2048, 48, 16, 2, 5120, 151936)),
        ("nemotron-h-8b", {"model_type": "nemotron_h", "hybrid_override_pattern":
                           "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-"}
         | shapes(4096, 52, 32, 8, 21504, 131072)),
    ],
)  # fmt: skip
def test_same_model_as_the_shipped_file(name, config):
    """Models from their configurations are the workloads that ship."""
    assert read(config).model == find_workload(name).model


@pytest.mark.parametrize(
    ("changes", "window", "pattern"),
    [
        ({}, 4096, ("window", "full")),
        ({"sliding_window": 64}, 64, ("window", "full")),
        ({"sliding_window": None}, 0, ("window",)),
        ({"layer_types": [SLIDING, SLIDING, FULL, FULL]}, 4096, ("window", "window", "full", "full")),
        ({"layer_types": [SLIDING] * 4}, 4096, ("window",)),
        ({"layer_types": [FULL] * 4}, 0, ("window",)),
    ],
)
def test_windows_by_layer(changes, window, pattern):
    """Every second layer of Gemma 2 sees everything, unless the file names each; what repeats is written once."""
    model = read({"model_type": "gemma2"} | shapes(512, 4, 4, 2, 96, 100) | changes).model
    assert (model.window, model.window_pattern) == (window, pattern)


def test_kimi_k2_has_a_trillion_parameters_of_which_32_billion_are_active():
    """arXiv 2507.20534: 1.04 T and 32.6 B; latents of DeepSeek-V3's widths that its file need not name."""
    config = V3 | {"model_type": "kimi_k2", "n_routed_experts": 384, "first_k_dense_replace": 1, "n_group": 1}
    config |= shapes(7168, 61, 64, 64, 18432, 163840)
    found = summary(read({key: value for key, value in config.items() if key not in LATENT}))
    assert found.parameters == pytest.approx(1.04e12, rel=0.02)
    assert found.linear_macs_body + 2 * found.head_macs == pytest.approx(32.6e9, rel=0.02)


def test_blocks_of_deepseek_v3_are_the_format_that_has_them():
    """Weights in blocks of 128 x 128 meet activations in 128s; what drafts is left out, and said so."""
    workload = read(V3)
    assert workload.formats == find_workload("deepseek-v3").formats
    assert workload.source.endswith("what drafts further tokens (num_nextn_predict_layers) is left out")
    dense = read(LLAMA | {"quantization_config": V3["quantization_config"]})
    assert (dense.formats.weights, dense.formats.router) == ("fp8_block", None)


def test_bamba_places_attention_where_the_file_says():
    """Layers of attention stand at their indices, Mamba-2 elsewhere."""
    config = {"model_type": "bamba", "attn_layer_indices": [2]} | shapes(512, 4, 8, 2, 1024, 1000)
    assert read(config).model.pattern == ("mamba2", "mamba2", "attention", "mamba2")


@pytest.mark.parametrize(
    ("changes", "formats"),
    [
        ({}, ("bf16", 0)),
        ({"torch_dtype": "float16"}, ("fp16", 0)),
        ({"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}, ("int4", 128)),
        ({"quantization_config": {"quant_method": "gptq", "bits": 8, "group_size": -1}}, ("int8", 0)),
        ({"quantization_config": {"quant_method": "fp8"}}, ("fp8_e4m3", 0)),
        ({"quantization_config": {"quant_method": "mxfp4"}}, ("bf16", 0)),
    ],
)
def test_formats_are_those_of_the_checkpoint(changes, formats):
    """Type of the weights, and group of a quantised checkpoint."""
    found = read(LLAMA | changes).formats
    assert (found.weights, found.weight_group) == formats
    assert found.experts == ("mxfp4" if "mxfp4" in str(changes) else None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "lama"}, "config.json:1: unknown model_type 'lama'.*did you mean 'llama'"),
        ({"model_type": "deepseek_v32"}, "attention over chosen positions is in no family"),
        (V3 | {"scoring_func": "tanh"}, 'scoring_func: "tanh"; expected softmax or sigmoid'),
        (V3 | {"v_head_dim": 0}, "v_head_dim: 0; expected a whole number from 1"),
        (V3 | {"num_key_value_heads": 8}, "kv_heads does not fit; expected heads = 128 with kv_lora_rank"),
        ({"model_type": "bert", "is_decoder": True}, "an encoder that decodes is in no family"),
        ({"model_type": "bert", "position_embedding_type": "relative_key"}, "relative positions are in no family"),
        ({"model_type": "electra", "embedding_size": 128, "hidden_size": 256}, "a narrower embedding is in no family"),
        ({"model_type": "distilbert", "activation": "relu2"}, 'activation: "relu2"; expected gelu, relu or silu'),
        ({"model_type": "modernbert"}, "windows that see both sides are in no family"),
        ({"model_type": None}, "config.json: no model_type; expected one of bamba"),
        ({"vocab_size": None}, "config.json: no vocab_size"),
        ({"hidden_size": "wide"}, 'hidden_size: "wide"; expected a whole number from 1'),
        ({"hidden_size": True}, "hidden_size: true; expected a whole number"),
        ({"num_key_value_heads": 5}, "kv_heads does not fit; expected a divisor of heads = 32"),
        ({"hidden_act": "relu2"}, "activation does not fit; expected silu or gelu in a gated MLP"),
        ({"hidden_act": "mish"}, 'hidden_act: "mish"; expected silu, gelu, relu or relu2'),
        ({"model_type": "gpt_oss", "layer_types": ["full_attention"]}, "layer_types.*expected 32 words of full_atten"),
        ({"model_type": "gemma2", "layer_types": ["chunked"] * 32}, "layer_types.*expected 32 words of full_attention"),
        ({"model_type": "deit", "architectures": ["DeiTForImageClassification"]}, "a head for each class token"),
        ({"model_type": "dinov2", "use_swiglu_ffn": True}, "a gated MLP in a ViT is in no family"),
        ({"model_type": "vit", "hidden_act": "relu"}, "gelu in a vision transformer"),
        ({"model_type": "qwen3_next", "layer_types": ["mamba"] * 32}, "32 words of full_attention, linear_attention"),
        ({"model_type": "opt", "do_layer_norm_before": False}, "norms in place of the first ones are in no family"),
        ({"model_type": "nemotron_h", "hybrid_override_pattern": "M-A"}, "a word of M, . and -"),
        ({"model_type": "nemotron_h", "hybrid_override_pattern": "M--"}, "an MLP behind a mixer"),
        ({"shared_expert_intermediate_size": 8}, "no family has experts of its kind that every token"),
        ({"tie_word_embeddings": "yes"}, "expected true or false"),
        ({"torch_dtype": "float64"}, "torch_dtype.*expected one of bfloat16"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantization_config.*expected quant_method gptq"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layers of one kind"),
        ({"layer_types": "full"}, "a list of words"),
        ({"kv_lora_rank": 512}, "latent attention is read in deepseek_v2, deepseek_v3, kimi_k2 only"),
        ({"decoder_sparse_step": 2}, "experts in some layers only"),
        ({"model_type": "mamba", "intermediate_size": 5000}, "a multiple of hidden_size = 4096"),
        ({"model_type": "mamba", "use_bias": True, "intermediate_size": 8192}, "projections of Mamba have no biases"),
        ({"model_type": "mamba2", "num_heads": 3}, "expected expand . hidden_size / head_dim = 128"),
        ({"model_type": "bamba", "attn_layer_indices": [99]}, "a list of layers below 32"),
    ],
)
def test_what_is_refused(changes, message):
    """Each with its key, and with what is missing."""
    with pytest.raises(HwsimError, match=message):
        read({key: value for key, value in (LLAMA | changes).items() if value is not None})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"model_type": "llama",\n oops}', r"config.json:2:2: no JSON"),
        (b"[1]", "a list; expected an object"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON|nested too deep"),
    ],
)
def test_no_configuration(data, message):
    """Bytes that are no JSON object are refused at their place."""
    with pytest.raises(HwsimError, match=message):
        document_of_config(data, "config.json", "mine")


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *LLAMA,
                "head_dim",
                "sliding_window",
                "ssm_cfg",
                "quantization_config",
                "attn_layer_indices",
                "layer_types",
                "hybrid_override_pattern",
                "num_local_experts",
                "shared_intermediate_size",
                "mamba_d_head",
                "mamba_n_heads",
                "sliding_window_pattern",
                "n_routed_experts",
                "first_k_dense_replace",
                "scoring_func",
                "num_nextn_predict_layers",
                *LATENT,
                "full_attention_interval",
                "mlp_ratio",
                "num_register_tokens",
                "patch_size",
            ]
        ),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-5, 10**12),
            st.floats(),
            st.text(max_size=5),
            st.just([]),
            st.just({}),
        ),
    ),
    st.sampled_from(sorted(MODEL_TYPES)),
)
def test_hostile_values_are_refused_or_read(changes, kind):
    """Whatever stands under the keys: a workload that loads, or a fault; never another error."""
    with suppress(HwsimError):
        assert summary(read(LLAMA | {"model_type": kind} | changes)).parameters > 0
